package s3

import (
	"context"
	"net/http"
	"net/http/httptest"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = DescribeTable("AWS tells the region of a bucket", func(ctx context.Context, status int, region, expected, text string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodHead || r.URL.Path != "/bucket" {
			status = http.StatusBadRequest
		}
		w.Header().Set("X-Amz-Bucket-Region", region)
		w.Header().Set("Location", "http://127.0.0.1:1/")
		w.WriteHeader(status)
	}))
	DeferCleanup(server.Close)
	found, err := bucketRegion(ctx, &http.Client{CheckRedirect: answerOnly}, server.URL, "bucket")
	if text != "" {
		Expect(err).To(MatchError(ContainSubstring(text)))
		return
	}
	Expect(found, err).To(Equal(expected))
},
	Entry("that may be read", http.StatusOK, "eu-west-1", "eu-west-1", ""),
	Entry("that may not", http.StatusForbidden, "eu-west-1", "eu-west-1", ""),
	Entry("that is elsewhere", http.StatusMovedPermanently, "eu-west-1", "eu-west-1", ""),
	Entry("that does not exist", http.StatusNotFound, "", "", `bucket "bucket" does not exist`),
	Entry("of a store that does not say", http.StatusOK, "", "", "set config.region"),
)
