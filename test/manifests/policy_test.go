package manifests_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/test/controlplane"
)

var _ = Describe("The policy for movers", Ordered, func() {
	var (
		admin client.Client
		as    func(account, pod string) client.Client
	)

	BeforeAll(func(ctx context.Context) {
		plane, err := controlplane.Start()
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(plane.Stop)
		scheme, err := controlplane.Scheme()
		Expect(err).NotTo(HaveOccurred())
		admin, err = client.New(plane.Config, client.Options{Scheme: scheme})
		Expect(err).NotTo(HaveOccurred())
		// A pod's token tells the API server whose it is.
		as = func(account, pod string) client.Client {
			GinkgoHelper()
			config := rest.CopyConfig(plane.Config)
			config.Impersonate = rest.ImpersonationConfig{
				UserName: "system:serviceaccount:" + namespace + ":" + account, Groups: []string{"system:authenticated"},
			}
			if pod != "" {
				config.Impersonate.Extra = map[string][]string{"authentication.kubernetes.io/pod-name": {pod}}
			}
			c, err := client.New(config, client.Options{Scheme: scheme})
			Expect(err).NotTo(HaveOccurred())
			return c
		}

		Expect(admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())
		for _, m := range load("rbac") {
			object, err := decode(m)
			Expect(err).NotTo(HaveOccurred())
			Expect(admin.Create(ctx, object.(client.Object))).To(Succeed(), m.file)
		}
		inProgress := v2alpha1.TransferStatus{Phase: v2alpha1.PhaseInProgress, Message: "going on"}
		for _, name := range []string{"mine", "other"} {
			meta := metav1.ObjectMeta{
				Namespace: namespace, Name: name, Labels: map[string]string{"one": "1"}, Annotations: map[string]string{"one": "1"},
				Finalizers:      []string{v2alpha1.Finalizer},
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "velero.io/v1", Kind: "Backup", Name: "b", UID: "1"}},
			}
			for _, move := range []client.Object{
				&v2alpha1.DataUpload{ObjectMeta: meta, Status: v2alpha1.DataUploadStatus{TransferStatus: inProgress}},
				&v2alpha1.DataDownload{ObjectMeta: meta, Status: v2alpha1.DataDownloadStatus{TransferStatus: inProgress}},
			} {
				Expect(admin.Create(ctx, move)).To(Succeed())
			}
		}
		By("waiting until it is in force")
		Eventually(func() error { return report(ctx, as(mover, "mine"), upload("other")) }).
			WithTimeout(time.Minute).Should(Satisfy(isRefused))
	})

	It("lets the mover of a DataUpload name the snapshot that it is about to save", func(ctx context.Context) {
		for _, id := range []string{"one", "two"} {
			change := fmt.Sprintf(`{"metadata": {"annotations": {"node-agent.io/snapshot-id": %q}}}`, id)
			Expect(patch(ctx, as(mover, "mine"), upload("mine"), change)).To(Succeed())
		}
	})

	for _, named := range []func(string) client.Object{upload, download} {
		Describe(fmt.Sprintf("for a %T", named("")), func() {
			It("lets a mover report on the one of its pod", func(ctx context.Context) {
				Expect(report(ctx, as(mover, "mine"), named("mine"))).To(Succeed())
			})

			It("does not let it report on another", func(ctx context.Context) {
				Expect(report(ctx, as(mover, "other"), named("mine"))).To(MatchError(ContainSubstring("of its own pod only")))
			})

			It("does not let somebody report who has stolen the account, but has no pod", func(ctx context.Context) {
				Expect(report(ctx, as(mover, ""), named("mine"))).To(Satisfy(isRefused))
			})

			DescribeTable("lets it change nothing else",
				func(ctx context.Context, change string) {
					before := named("mine")
					Expect(admin.Get(ctx, client.ObjectKeyFromObject(before), before)).To(Succeed())
					Expect(patch(ctx, as(mover, "mine"), named("mine"), change)).To(MatchError(ContainSubstring("not for it to change")))
					after := named("mine")
					Expect(patch(ctx, admin, after, change)).To(Succeed())
					Expect(after).NotTo(Equal(before), "it is a change that can be made")
				},
				otherChanges(named("")),
			)

			It("lets it say nothing as long as it changes nothing", func(ctx context.Context) {
				Expect(patch(ctx, as(mover, "mine"), named("mine"), `{"metadata": {"labels": {"none": null}}}`)).To(Succeed())
			})

			It("does not concern the agent", func(ctx context.Context) {
				Expect(patch(ctx, as(agent, "node-agent-x7x7x"), named("mine"), `{"status": {"phase": "Canceling"}}`)).To(Succeed())
			})
		})
	}
})

// otherChanges are changes of everything that a DataUpload or DataDownload has but for what a mover reports there.
func otherChanges(move client.Object) []TableEntry {
	entries := []TableEntry{
		Entry("a label", `{"metadata": {"labels": {"two": "2"}}}`),
		Entry("another value of a label", `{"metadata": {"labels": {"one": "2"}}}`),
		Entry("a label less", `{"metadata": {"labels": {"one": null}}}`),
		Entry("all labels", `{"metadata": {"labels": null}}`),
		Entry("an annotation", `{"metadata": {"annotations": {"two": "2"}}}`),
		Entry("another value of an annotation", `{"metadata": {"annotations": {"one": "2"}}}`),
		Entry("an annotation less", `{"metadata": {"annotations": {"one": null}}}`),
		Entry("all annotations", `{"metadata": {"annotations": null}}`),
		Entry("the lost attempts", `{"metadata": {"annotations": {"node-agent.io/lost-attempts": "[]"}}}`),
		Entry("the configuration of the next pod", `{"metadata": {"annotations": {"node-agent.io/config": "{}"}}}`),
		Entry("a finalizer", `{"metadata": {"finalizers": ["example.com/another", "`+v2alpha1.Finalizer+`"]}}`),
		Entry("no finalizer", `{"metadata": {"finalizers": null}}`),
		Entry("an owner", `{"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "2"}]}}`),
		Entry("no owner", `{"metadata": {"ownerReferences": null}}`),
		Entry("a status less", `{"status": {"message": null}}`),
		Entry("the status beside the progress", `{"status": {"message": "all is well", "progress": {"bytesDone": 5}}}`),
	}
	if _, isDownload := move.(*v2alpha1.DataDownload); isDownload {
		entries = append(entries, Entry("a snapshot", `{"metadata": {"annotations": {"node-agent.io/snapshot-id": "1"}}}`))
	}
	for _, part := range []string{"spec", "status"} {
		for name, schema := range schemaOf(move).Properties[part].Properties {
			if part == "status" && name == "progress" {
				continue
			}
			value, err := json.Marshal(example(schema))
			if err != nil {
				panic(err)
			}
			entries = append(entries, Entry(part+"."+name, fmt.Sprintf(`{%q: {%q: %s}}`, part, name, value)))
		}
	}
	return entries
}

// schemaOf is the schema in the CRD of a kind.
func schemaOf(move client.Object) apiextensionsv1.JSONSchemaProps {
	kind := v2alpha1.KindDataUpload
	if _, isDownload := move.(*v2alpha1.DataDownload); isDownload {
		kind = v2alpha1.KindDataDownload
	}
	for _, m := range load("crd") {
		object, err := decode(m)
		if err != nil {
			panic(err)
		}
		if crd, ok := object.(*apiextensionsv1.CustomResourceDefinition); ok && crd.Spec.Names.Kind == kind {
			return *crd.Spec.Versions[0].Schema.OpenAPIV3Schema
		}
	}
	panic("no CRD of " + kind)
}

// example is a value that a field can have, and does not have in these specs.
func example(schema apiextensionsv1.JSONSchemaProps) any {
	switch {
	case len(schema.Enum) > 0:
		return schema.Enum[len(schema.Enum)-1]
	case schema.Format == "date-time":
		return "2026-01-01T00:00:00Z"
	}
	switch schema.Type {
	case "string":
		return "7m0s" // one of them is a duration
	case "integer":
		return 7
	case "boolean":
		return true
	case "object":
		value := map[string]any{}
		for name, property := range schema.Properties {
			value[name] = example(property)
		}
		if len(value) == 0 {
			value["other"] = "other"
		}
		return value
	default:
		panic("no example of a " + schema.Type)
	}
}

func upload(name string) client.Object {
	return &v2alpha1.DataUpload{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

func download(name string) client.Object {
	return &v2alpha1.DataDownload{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

func report(ctx context.Context, c client.Client, move client.Object) error {
	return patch(ctx, c, move, `{"status": {"progress": {"bytesDone": 1}}}`)
}

func patch(ctx context.Context, c client.Client, move client.Object, change string) error {
	return c.Patch(ctx, move, client.RawPatch("application/merge-patch+json", []byte(change)))
}

func isRefused(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) }
