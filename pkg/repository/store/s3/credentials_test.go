package s3

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository/store/storetest"
)

const pair = "aws_access_key_id = " + accessKey + "\naws_secret_access_key = " + secretKey + "\n"

// cleanEnvironment clears the variables that a test machine may have.
func cleanEnvironment() {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			GinkgoT().Setenv(name, "")
		}
	}
	GinkgoT().Setenv("HOME", GinkgoT().TempDir())
	GinkgoT().Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// find looks for credentials, in a file of profiles if content is not empty.
func find(ctx context.Context, content, profile string) (aws.Credentials, error) {
	options := Options{Bucket: bucket, Region: "eu-west-1", Profile: profile}
	if content != "" {
		options.CredentialsFile = writeFile(content)
	}
	loaded, err := configuration(ctx, options, awshttp.NewBuildableClient())
	if err != nil {
		return aws.Credentials{}, err
	}
	return loaded.Credentials.Retrieve(ctx)
}

var _ = Describe("A file of profiles", func() {
	BeforeEach(cleanEnvironment)

	DescribeTable("gives the keys", func(ctx context.Context, content, profile, secret string) {
		GinkgoT().Setenv("AWS_ACCESS_KEY_ID", "OTHER")
		GinkgoT().Setenv("AWS_SECRET_ACCESS_KEY", "other")
		Expect(find(ctx, content, profile)).To(And(HaveField("AccessKeyID", "AKID"), HaveField("SecretAccessKey", secret)))
	},
		Entry("of the default", "[default]\naws_access_key_id = AKID\naws_secret_access_key = a#b;c%(d)s\\\n", "", `a#b;c%(d)s\`),
		Entry("of a profile", "[default]\nx=y\n[mine]\naws_access_key_id=AKID\naws_secret_access_key=s\n", "mine", "s"),
		Entry("of a profile in a configuration", "[profile mine]\naws_access_key_id=AKID\naws_secret_access_key=s\n", "mine", "s"),
		Entry("with the line ends of Windows", "[default]\r\naws_access_key_id=AKID\r\naws_secret_access_key=s\r\n", "", "s"),
		Entry("in quotes", "[default]\naws_access_key_id=\"AKID\"\naws_secret_access_key=']s'\n", "", "]s"),
		Entry("without quotes", "[default]\naws_access_key_id=AKID\naws_secret_access_key=]s\n", "", "]s"),
	)

	DescribeTable("is rejected", func(ctx context.Context, content, profile, text string) {
		_, err := find(ctx, content, profile)
		Expect(err).To(MatchError(And(ContainSubstring(text), Not(ContainSubstring(secretKey)))))
	},
		Entry("without the profile", "[b]\n"+pair+"[profile a]\n"+pair, "c", `profile "c" does not exist (found: a, b)`),
		Entry("without the default profile", "[b]\n"+pair, "", `profile "default" does not exist (found: b)`),
		Entry("without keys", "[default]\nx=y\n", "", "neither aws_access_key_id with aws_secret_access_key nor role_arn is set"),
		Entry("with half a pair", "[default]\naws_access_key_id=AKID\n", "", "has only one of aws_access_key_id and aws_secret_access_key"),
		Entry("with the other half", "[default]\naws_secret_access_key="+secretKey+"\n", "", "has only one of aws_access_key_id and aws_secret_access_key"),
		Entry("with a role alone", "[default]\nrole_arn=r\n", "", "role_arn needs web_identity_token_file, source_profile or credential_source"),
		Entry("with a role of a profile that does not exist", "[default]\nrole_arn=r\nsource_profile=x\n", "", `profile "x" does not exist (found: default)`),
		Entry("with a role of a profile without keys", "[default]\nrole_arn=r\nsource_profile=x\n[x]\na=b\n", "", `profile "x", which r is to be assumed with, has no credentials`),
		Entry("with a program", "[default]\ncredential_process=/bin/true\n", "", "credential_process is not supported"),
		Entry("with a program behind a role", "[default]\nrole_arn=r\nsource_profile=x\n[x]\ncredential_process=/bin/true\n", "", "credential_process is not supported"),
		Entry("with a section that does not end", "[default\n"+pair, "", "it is not a file of profiles"),
		Entry("with a byte order mark", "\ufeff[default]\n"+pair, "", "begins with a byte order mark"),
	)
})

var _ = Describe("The environment", func() {
	BeforeEach(cleanEnvironment)

	DescribeTable("with half a pair of keys is an error, and not the next in the chain", func(ctx context.Context, name, missing string) {
		GinkgoT().Setenv(name, secretKey)
		GinkgoT().Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", writeFile("token"))
		GinkgoT().Setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/mover")
		_, err := find(ctx, "", "")
		Expect(err).To(MatchError("the environment has " + name + ", but not " + missing))
	},
		Entry(nil, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
		Entry(nil, "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
	)

	It("without credentials is an error, and never nobody", func(ctx context.Context) {
		_, err := find(ctx, "", "")
		Expect(err).To(MatchError(ContainSubstring(`get credentials for bucket "backups": `)))
	})
})

// issued is what a service gave credentials for, and who asked.
type issued struct{ role, signedBy, session, token string }

var _ = Describe("Temporary keys", func() {
	var (
		mu    sync.Mutex
		gave  []issued
		keyOf = regexp.MustCompile(`Credential=(\w+)/`)
	)

	BeforeEach(func() {
		cleanEnvironment()
		gave = nil
		tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			asked := issued{role: r.FormValue("RoleArn"), session: r.FormValue("RoleSessionName"), token: r.FormValue("WebIdentityToken")}
			if key := keyOf.FindStringSubmatch(r.Header.Get("Authorization")); key != nil {
				asked.signedBy = key[1]
			}
			gave = append(gave, asked)
			storetest.Answer(w, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult><Credentials>`+
				`<AccessKeyId>ISSUED%[2]d</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>`+
				`<Expiration>%[3]s</Expiration></Credentials></%[1]sResult></%[1]sResponse>`,
				r.FormValue("Action"), len(gave), time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		}))
		DeferCleanup(tokens.Close)
		GinkgoT().Setenv("AWS_ENDPOINT_URL_STS", tokens.URL)
	})

	DescribeTable("come from roles", func(ctx context.Context, content string, expected ...issued) {
		found, err := find(ctx, content, "mover")
		Expect(err).NotTo(HaveOccurred())
		Expect(found.AccessKeyID).To(Equal(fmt.Sprintf("ISSUED%d", len(expected))))
		Expect(found.SessionToken).To(Equal("t"))
		Expect(gave).To(Equal(expected))
	},
		Entry("of the keys of another profile", "[mover]\nrole_arn=arn:a\nsource_profile=default\n[default]\n"+pair,
			issued{role: "arn:a", signedBy: accessKey, session: "node-agent"}),
		Entry("with a session name of its own", "[mover]\nrole_arn=arn:a\nsource_profile=default\nrole_session_name=me\n[default]\n"+pair,
			issued{role: "arn:a", signedBy: accessKey, session: "me"}),
		Entry("of roles", "[mover]\nrole_arn=arn:a\nsource_profile=middle\n[middle]\nrole_arn=arn:b\nsource_profile=default\n[default]\n"+pair,
			issued{role: "arn:b", signedBy: accessKey, session: "node-agent"}, issued{role: "arn:a", signedBy: "ISSUED1", session: "node-agent"}),
	)

	It("come from a role of the keys in the environment", func(ctx context.Context) {
		GinkgoT().Setenv("AWS_ACCESS_KEY_ID", "ENVIRONMENT")
		GinkgoT().Setenv("AWS_SECRET_ACCESS_KEY", "s")
		Expect(find(ctx, "[mover]\nrole_arn=arn:a\ncredential_source=Environment\n", "mover")).To(HaveField("AccessKeyID", "ISSUED1"))
		Expect(gave).To(Equal([]issued{{role: "arn:a", signedBy: "ENVIRONMENT", session: "node-agent"}}))
	})

	It("come from the web identity that a file names", func(ctx context.Context) {
		Expect(find(ctx, "[mover]\nrole_arn=arn:a\nweb_identity_token_file="+writeFile("token")+"\n", "mover")).To(HaveField("AccessKeyID", "ISSUED1"))
		Expect(gave).To(Equal([]issued{{role: "arn:a", session: "node-agent", token: "token"}}))
	})

	It("come from the web identity of the pod", func(ctx context.Context) {
		GinkgoT().Setenv("AWS_SHARED_CREDENTIALS_FILE", "/credentials/cloud")
		GinkgoT().Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", writeFile("token"))
		GinkgoT().Setenv("AWS_ROLE_ARN", "arn:a")
		Expect(find(ctx, "", "")).To(HaveField("AccessKeyID", "ISSUED1"))
		Expect(gave).To(Equal([]issued{{role: "arn:a", session: "node-agent", token: "token"}}))
	})

	It("come from the agent of the pod", func(ctx context.Context) {
		agent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			Expect(r.Header.Get("Authorization")).To(Equal("pod's token"))
			storetest.Answer(w, `{"AccessKeyId":"AGENT","SecretAccessKey":"s","Token":"t","Expiration":"2100-01-01T00:00:00Z"}`)
		}))
		DeferCleanup(agent.Close)
		GinkgoT().Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.URL+"/v1/credentials")
		GinkgoT().Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", writeFile("pod's token"))
		Expect(find(ctx, "", "")).To(And(HaveField("AccessKeyID", "AGENT"), HaveField("CanExpire", true)))
	})

	It("come from a single sign-on", func(ctx context.Context) {
		service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			Expect(r.URL.Query().Get("role_name")).To(Equal("backup"))
			storetest.Answer(w, `{"roleCredentials":{"accessKeyId":"SIGNEDON","secretAccessKey":"s","sessionToken":"t","expiration":%d}}`,
				time.Now().Add(time.Hour).UnixMilli())
		}))
		DeferCleanup(service.Close)
		GinkgoT().Setenv("AWS_ENDPOINT_URL_SSO", service.URL)
		const start = "https://example.awsapps.com/start"
		name := sha1.Sum([]byte(start))
		cache := filepath.Join(os.Getenv("HOME"), ".aws", "sso", "cache")
		Expect(os.MkdirAll(cache, 0o700)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(cache, hex.EncodeToString(name[:])+".json"),
			[]byte(`{"accessToken":"x","expiresAt":"2100-01-01T00:00:00Z"}`), 0o600)).To(Succeed())
		Expect(find(ctx, "[mover]\nsso_start_url="+start+"\nsso_region=eu-west-1\nsso_account_id=1\nsso_role_name=backup\n", "mover")).To(
			HaveField("AccessKeyID", "SIGNEDON"))
	})
})
