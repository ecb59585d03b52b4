package s3

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kopia/kopia/repo/blob"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/node-agent/node-agent/pkg/repository/store/storetest"
)

const minio = "https://minio.example.com:9443"

var _ = Describe("The address of an object", func() {
	DescribeTable("follows the location", func(ctx context.Context, options Options, url, region string) {
		server := newServer()
		options.Prefix = "p/"
		storage, err := server.open(ctx, options)
		Expect(err).NotTo(HaveOccurred())
		_ = storage.PutBlob(ctx, "k", storetest.Content("data"), blob.PutOptions{}) // the fake has this one bucket only
		for _, request := range server.requests {
			Expect(address(request)).To(HavePrefix(strings.TrimSuffix(url, "p/k")))
			Expect(request.Header.Get("Authorization")).To(ContainSubstring("/" + region + "/s3/aws4_request"))
		}
		Expect(server.only(http.MethodPut)[0].URL.Path).To(HaveSuffix("p/k"))
	},
		Entry("of AWS", Options{Region: "eu-west-1"}, "https://backups.s3.eu-west-1.amazonaws.com/p/k", "eu-west-1"),
		Entry("in a region that is new", Options{Region: "ap-southeast-6"}, "https://backups.s3.ap-southeast-6.amazonaws.com/p/k", "ap-southeast-6"),
		Entry("in a region that nobody knows", Options{Region: "xx-new-1"}, "https://backups.s3.xx-new-1.amazonaws.com/p/k", "xx-new-1"),
		Entry("in Europe's own cloud", Options{Region: "eusc-de-east-1"}, "https://backups.s3.eusc-de-east-1.amazonaws.eu/p/k", "eusc-de-east-1"),
		Entry("in China", Options{Region: "cn-north-9"}, "https://backups.s3.cn-north-9.amazonaws.com.cn/p/k", "cn-north-9"),
		Entry("in the cloud for governments", Options{Region: "us-gov-east-7"}, "https://backups.s3.us-gov-east-7.amazonaws.com/p/k", "us-gov-east-7"),
		Entry("in an isolated partition", Options{Region: "us-iso-east-9"}, "https://backups.s3.us-iso-east-9.c2s.ic.gov/p/k", "us-iso-east-9"),
		Entry("in another isolated partition", Options{Region: "us-isob-east-9"}, "https://backups.s3.us-isob-east-9.sc2s.sgov.gov/p/k", "us-isob-east-9"),
		Entry("with the path style", Options{Region: "ap-southeast-6", Addressing: AddressingPath},
			"https://s3.ap-southeast-6.amazonaws.com/backups/p/k", "ap-southeast-6"),
		Entry("with a dot in the bucket's name", Options{Region: "eu-west-1", Bucket: dottedBucket},
			"https://s3.eu-west-1.amazonaws.com/with.dots/p/k", "eu-west-1"),
		Entry("with the URL of a new region", Options{Endpoint: "https://s3.ap-southeast-6.amazonaws.com", Region: "ap-southeast-6"},
			"https://backups.s3.ap-southeast-6.amazonaws.com/p/k", "ap-southeast-6"),
		Entry("with the URL of a new region in China", Options{Endpoint: "https://s3.cn-north-9.amazonaws.com.cn"},
			"https://backups.s3.cn-north-9.amazonaws.com.cn/p/k", "cn-north-9"),
		Entry("with the URL of a region, which need not be repeated", Options{Endpoint: "https://s3-ap-southeast-6.amazonaws.com"},
			"https://backups.s3-ap-southeast-6.amazonaws.com/p/k", "ap-southeast-6"),
		Entry("with the URL of dual stack", Options{Endpoint: "https://s3.dualstack.eu-west-9.amazonaws.com"},
			"https://backups.s3.dualstack.eu-west-9.amazonaws.com/p/k", "eu-west-9"),
		Entry("with the URL of a private endpoint", Options{Endpoint: "https://bucket.vpce-1.s3.eu-west-9.vpce.amazonaws.com"},
			"https://bucket.vpce-1.s3.eu-west-9.vpce.amazonaws.com/backups/p/k", "eu-west-9"),
		Entry("with the URL that has no region", Options{Endpoint: "https://s3.amazonaws.com", Region: "ap-southeast-6"},
			"https://backups.s3.ap-southeast-6.amazonaws.com/p/k", "ap-southeast-6"),
		Entry("of Google", Options{Endpoint: "https://storage.googleapis.com", Region: "auto"}, "https://backups.storage.googleapis.com/p/k", "auto"),
		Entry("of another store", Options{Endpoint: minio, Region: "r"}, minio+"/backups/p/k", "r"),
		Entry("of another store without TLS", Options{Endpoint: "http://minio:9000", Region: "r"}, "http://minio:9000/backups/p/k", "r"),
		Entry("of another store that wants the bucket in the host", Options{Endpoint: minio, Region: "r", Addressing: AddressingHost},
			"https://backups.minio.example.com:9443/p/k", "r"),
		Entry("that is a number, which has no hosts below it", Options{Endpoint: "https://10.0.0.1:9443", Region: "r", Addressing: AddressingHost},
			"https://10.0.0.1:9443/backups/p/k", "r"),
	)

	It("is signed for the region that the store says it is in", func(ctx context.Context) {
		server := newServer()
		inner := server.handler
		server.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("location") {
				storetest.Answer(w, `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">here</LocationConstraint>`)
				return
			}
			inner.ServeHTTP(w, r)
		})
		storage, err := server.open(ctx, Options{Endpoint: minio})
		Expect(err).NotTo(HaveOccurred())
		Expect(storage.PutBlob(ctx, "k", storetest.Content("data"), blob.PutOptions{})).To(Succeed())
		Expect(server.only(http.MethodPut)[0].Header.Get("Authorization")).To(ContainSubstring("/here/s3/aws4_request"))
	})

	It("is signed for AWS's first region if the store does not say", func(ctx context.Context) {
		server := newServer()
		storage, err := server.open(ctx, Options{Endpoint: minio})
		Expect(err).NotTo(HaveOccurred())
		Expect(storage.PutBlob(ctx, "k", storetest.Content("data"), blob.PutOptions{})).To(Succeed())
		Expect(server.only(http.MethodPut)[0].Header.Get("Authorization")).To(ContainSubstring("/us-east-1/s3/aws4_request"))
	})
})

var _ = Describe("A bucket", func() {
	DescribeTable("keeps blobs", func(ctx context.Context, options Options) {
		options.Region, options.Prefix = "r", "p/"
		server := newServer()
		storage, err := server.open(ctx, options)
		Expect(err).NotTo(HaveOccurred())
		storetest.KeepsBlobs(ctx, storage)
	},
		Entry("with the bucket in the path", Options{Endpoint: minio}),
		Entry("with the bucket in the host", Options{Endpoint: minio, Addressing: AddressingHost}),
		Entry("without TLS", Options{Endpoint: "http://minio:9000"}),
		Entry("with checksums", Options{Endpoint: "http://minio:9000", Checksum: "CRC32C"}),
	)

	It("is listed though it has no time for a while", func(ctx context.Context) {
		server := newServer()
		storage, err := server.open(ctx, Options{Endpoint: minio, Region: "r"})
		Expect(err).NotTo(HaveOccurred())
		Expect(storage.PutBlob(ctx, "k", storetest.Content("data"), blob.PutOptions{})).To(Succeed())
		inner := server.handler
		var asked atomic.Int32
		server.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1) <= 4 {
				w.WriteHeader(http.StatusServiceUnavailable)
				storetest.Answer(w, "<Error><Code>SlowDown</Code></Error>")
				return
			}
			inner.ServeHTTP(w, r)
		})
		Expect(storetest.List(ctx, storage, "")).To(Equal([]string{"k"}))
	})

	It("keeps them in the storage classes that it is configured for", func(ctx context.Context) {
		server := newServer()
		storage, err := server.open(ctx, Options{Endpoint: minio, Region: "r"})
		Expect(err).NotTo(HaveOccurred())
		Expect(storage.PutBlob(ctx, ".storageconfig", storetest.Content(`{"blobOptions":[{"prefix":"p","storageClass":"GLACIER_IR"}]}`), blob.PutOptions{})).To(Succeed())
		storage, err = server.open(ctx, Options{Endpoint: minio, Region: "r"})
		Expect(err).NotTo(HaveOccurred())
		Expect(storage.PutBlob(ctx, "pack", storetest.Content("x"), blob.PutOptions{})).To(Succeed())
		Expect(storage.PutBlob(ctx, "xindex", storetest.Content("x"), blob.PutOptions{})).To(Succeed())
		puts := server.only(http.MethodPut)
		Expect(puts[1].Header.Get("X-Amz-Storage-Class")).To(Equal("GLACIER_IR"))
		Expect(puts[2].Header.Get("X-Amz-Storage-Class")).To(BeEmpty())
		Expect(storetest.List(ctx, storage, "")).To(Equal([]string{"pack", "xindex"}))
	})
})

var _ = Describe("A new object", func() {
	// put writes and reads a blob and returns what the server was asked.
	put := func(ctx context.Context, options Options) *server {
		GinkgoHelper()
		server := newServer()
		options.Region = "r"
		if options.Endpoint == "" {
			options.Endpoint = minio
		}
		storage, err := server.open(ctx, options)
		Expect(err).NotTo(HaveOccurred())
		var when time.Time
		Expect(storage.PutBlob(ctx, "k", storetest.Content("data"), blob.PutOptions{GetModTime: &when})).To(Succeed())
		var found storetest.Output
		Expect(storage.GetBlob(ctx, "k", 0, 4, &found)).To(Succeed())
		return server
	}

	DescribeTable("is sent with what the location asks for, and nothing else", func(ctx context.Context, options Options, expected map[string]string) {
		headers := put(ctx, options).only(http.MethodPut)[0].Header
		for name := range headers {
			lower := strings.ToLower(name)
			if strings.HasPrefix(lower, "x-amz-") && lower != "x-amz-date" && lower != "x-amz-content-sha256" {
				Expect(expected).To(HaveKey(lower))
			}
		}
		for name, value := range expected {
			Expect(headers.Get(name)).To(Equal(value), name)
		}
		for _, name := range []string{"Expect", "Accept-Encoding", "Content-Encoding", "Transfer-Encoding"} {
			Expect(headers).NotTo(HaveKey(name))
		}
		Expect(headers.Get("Content-Md5")).To(Equal("jXd/OF09/siBXSD3SWAm3A=="))
		for name := range expected {
			Expect(headers.Get("Authorization")).To(ContainSubstring(name), "what is not signed may be changed")
		}
	},
		Entry("by default", Options{}, nil),
		Entry("by default, without TLS", Options{Endpoint: "http://minio:9000"}, nil),
		Entry("with a key of the store", Options{Encryption: Encryption{Algorithm: "AES256"}},
			map[string]string{"x-amz-server-side-encryption": "AES256"}),
		Entry("with a key of the key management", Options{Encryption: Encryption{KMSKey: "alias/backups"}},
			map[string]string{"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": "alias/backups"}),
		Entry("with the default key of the key management", Options{Encryption: Encryption{Algorithm: "aws:kms"}},
			map[string]string{"x-amz-server-side-encryption": "aws:kms"}),
		Entry("with tags", Options{Tagging: "team=shop&cost=a%20b"}, map[string]string{"x-amz-tagging": "team=shop&cost=a%20b"}),
		Entry("with a checksum", Options{Endpoint: "http://minio:9000", Checksum: "CRC32"},
			map[string]string{"x-amz-sdk-checksum-algorithm": "CRC32", "x-amz-checksum-crc32": "rfPzYw=="}),
	)

	It("is sent, and asked for, with the customer's key", func(ctx context.Context) {
		key := strings.Repeat("k", 32)
		server := put(ctx, Options{Encryption: Encryption{Algorithm: "AES256", CustomerKeyFile: writeFile(key + "\n")}})
		Expect(server.only(http.MethodHead)).NotTo(BeEmpty())
		for _, request := range server.requests {
			Expect(request.Header.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm")).To(Equal("AES256"))
			Expect(request.Header.Get("X-Amz-Server-Side-Encryption-Customer-Key")).To(Equal("a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="))
			Expect(request.Header.Get("X-Amz-Server-Side-Encryption-Customer-Key-Md5")).To(Equal("mT2HRsMGJ5IX5C+0rreZ8Q=="))
			Expect(request.Header).NotTo(HaveKey("X-Amz-Server-Side-Encryption"))
		}
	})

	It("is accepted by a store that refuses what is not encrypted", func(ctx context.Context) {
		server := newServer()
		inner := server.handler
		server.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && r.Header.Get("X-Amz-Server-Side-Encryption") != "AES256" {
				w.WriteHeader(http.StatusForbidden)
				storetest.Answer(w, "<Error><Code>AccessDenied</Code><Message>explicit deny</Message></Error>")
				return
			}
			inner.ServeHTTP(w, r)
		})
		plain, err := server.open(ctx, Options{Endpoint: minio, Region: "r"})
		Expect(err).NotTo(HaveOccurred())
		Expect(plain.PutBlob(ctx, "k", storetest.Content("data"), blob.PutOptions{})).To(MatchError("AccessDenied: explicit deny"))
		encrypted, err := server.open(ctx, Options{Endpoint: minio, Region: "r", Encryption: Encryption{Algorithm: "AES256"}})
		Expect(err).NotTo(HaveOccurred())
		Expect(encrypted.PutBlob(ctx, "k", storetest.Content("data"), blob.PutOptions{})).To(Succeed())
	})

	DescribeTable("is refused", func(ctx context.Context, options func() Options, text string) {
		_, err := newServer().open(ctx, options())
		Expect(err).To(MatchError(ContainSubstring(text)))
	},
		Entry("with the customer's key in clear text", func() Options {
			return Options{Endpoint: "http://minio", Encryption: Encryption{CustomerKeyFile: "/key"}}
		}, "config.customerKeyEncryptionFile needs https"),
		Entry("with two keys", func() Options { return Options{Encryption: Encryption{CustomerKeyFile: "/key", KMSKey: "k"}} }, "exclude each other"),
		Entry("with a key that is short", func() Options {
			return Options{Region: "r", Encryption: Encryption{CustomerKeyFile: writeFile("short")}}
		}, "must hold a key of 32 bytes, found 5"),
		Entry("with a key that is not there", func() Options {
			return Options{Region: "r", Encryption: Encryption{CustomerKeyFile: "/does/not/exist"}}
		}, "read the key of config.customerKeyEncryptionFile: open /does/not/exist"),
		Entry("with a checksum of another kind", func() Options { return Options{Checksum: "MD5"} }, `config.checksumAlgorithm "MD5" is not known`),
		Entry("with tags of another form", func() Options { return Options{Tagging: "a;b"} }, "config.tagging must be of the form"),
	)
})

var _ = Describe("An answer of the store", func() {
	DescribeTable("is put into few words", func(ctx context.Context, status int, body string, expected OmegaMatcher) {
		server := newServer()
		storage, err := server.open(ctx, Options{Endpoint: minio, Region: "r"})
		Expect(err).NotTo(HaveOccurred())
		server.handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			storetest.Answer(w, "%s", body)
		})
		Expect(storage.PutBlob(ctx, "k", storetest.Content("data"), blob.PutOptions{})).To(expected)
	},
		Entry(nil, 400, "<Error><Code>InvalidArgument</Code><Message>no</Message><RequestId>r</RequestId></Error>", MatchError("InvalidArgument: no")),
		Entry("that there is no bucket", 404, "<Error><Code>NoSuchBucket</Code><Message>gone</Message></Error>",
			And(MatchError("NoSuchBucket: gone"), Not(MatchError(blob.ErrBlobNotFound)))),
		Entry("that keys have expired", 400, "<Error><Code>ExpiredToken</Code></Error>", MatchError(blob.ErrInvalidCredentials)),
	)
})
