package expose_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/node-agent/node-agent/pkg/expose"
)

func token(content string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "kms-token", UID: "x", Labels: map[string]string{"app": "shop"}},
		Type:       "example.com/token", Data: map[string][]byte{"token": []byte(content)},
	}
}

var _ = Describe("the copy of a Secret", func() {
	It("has its name, type and content, and belongs to the DataUpload", func() {
		du := dataUpload()
		obj := expose.Copy(du, token("t"))
		Expect(obj).To(Equal(&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "velero", Name: "kms-token",
				Labels:          map[string]string{"node-agent.io/copied-from": "shop", "velero.io/exclude-from-backup": "true"},
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "velero.io/v2alpha1", Kind: "DataUpload", Name: du.Name, UID: du.UID}},
			},
			Type: "example.com/token", Data: map[string][]byte{"token": []byte("t")},
		}))
		Expect(expose.IsCopy(obj)).To(BeTrue())
		Expect(expose.Uses(du, obj)).To(BeTrue())
		Expect(expose.IsCopy(token("t"))).To(BeFalse())
	})

	It("is shared until its last user goes", func() {
		first, second := dataUpload(), dataUpload()
		second.Name, second.UID = "second", "uid-2"
		obj := expose.Copy(first, token("t"))
		Expect(expose.Uses(second, obj)).To(BeFalse())
		expose.AddUser(obj, second)
		Expect(expose.Uses(second, obj)).To(BeTrue())
		Expect(expose.RemoveUser(obj, first)).To(Equal(1))
		Expect(expose.Uses(first, obj)).To(BeFalse())
		Expect(expose.RemoveUser(obj, second)).To(BeZero())
	})
})

var _ = It("the copy of a ConfigMap has its texts and its binary data", func() {
	original := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "kms"},
		Data:       map[string]string{"a": "b"}, BinaryData: map[string][]byte{"c": {0}},
	}
	obj := expose.Copy(dataUpload(), original)
	Expect(obj.GetNamespace()).To(Equal("velero"))
	Expect(expose.SameContent(obj, original)).To(BeTrue())
})

var _ = DescribeTable("content is the same", func(a, b expose.Object, same bool) {
	Expect(expose.SameContent(a, b)).To(Equal(same))
},
	Entry("of equal Secrets", token("t"), token("t"), true),
	Entry("not of other data", token("t"), token("u"), false),
	Entry("not of another type", token("t"), func() *corev1.Secret { s := token("t"); s.Type = corev1.SecretTypeOpaque; return s }(), false),
	Entry("of empty ConfigMaps", &corev1.ConfigMap{}, &corev1.ConfigMap{Data: map[string]string{}}, true),
	Entry("not of other texts", &corev1.ConfigMap{Data: map[string]string{"a": "b"}}, &corev1.ConfigMap{Data: map[string]string{"a": "c"}}, false),
	Entry("not of other binary data", &corev1.ConfigMap{BinaryData: map[string][]byte{"a": {0}}}, &corev1.ConfigMap{}, false),
	Entry("not of a Secret and a ConfigMap", &corev1.Secret{}, &corev1.ConfigMap{}, false),
)
