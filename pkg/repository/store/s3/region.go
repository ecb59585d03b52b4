package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// globalEndpoint is the address of AWS that has no region. Its own is us-east-1, and it answers for any bucket, without
// credentials, in which region that is.
const globalEndpoint = "s3.amazonaws.com"

// regionInHost finds the region in an address like s3.eu-west-1.amazonaws.com, s3-fips.dualstack.us-gov-west-1..., or
// vpce-1.s3.eu-west-1.vpce...; other stores than AWS name theirs in the same way.
var regionInHost = regexp.MustCompile(`(?:^|\.)s3(?:-fips)?[.-](?:dualstack\.)?([a-z]+(?:-[a-z]+)*-\d+)\.`)

// located completes region and endpoint of the options by what follows from the other, without a request.
func (o Options) located() Options {
	endpoint, err := url.Parse(o.Endpoint)
	if err != nil {
		return o
	}
	host := strings.ToLower(endpoint.Hostname())
	if host == globalEndpoint && endpoint.Scheme == "https" {
		// The region decides, and so does its address: the one without a region is us-east-1's.
		o.Endpoint = ""
	}
	if found := regionInHost.FindStringSubmatch(host); found != nil && o.Region == "" {
		o.Region = found[1]
	}
	return o
}

// wantsHostAddressing tells the stores that want the bucket in the name of the host.
func wantsHostAddressing(endpoint string) bool {
	parsed, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	host := strings.ToLower(parsed.Hostname())
	for _, domain := range []string{
		".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws", ".c2s.ic.gov", ".sc2s.sgov.gov", ".aliyuncs.com",
	} {
		if strings.HasSuffix(host, domain) {
			// An endpoint of a private network has the bucket's part of its name already.
			return !strings.Contains(host, ".vpce.")
		}
	}
	return host == "storage.googleapis.com"
}

// bucketRegion asks AWS in which region a bucket is. That needs no permission.
func bucketRegion(ctx context.Context, client *http.Client, endpoint, bucket string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, endpoint+"/"+url.PathEscape(bucket), http.NoBody)
	if err != nil {
		return "", fmt.Errorf("find the region of bucket %q: %w", bucket, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("find the region of bucket %q (config.region is not set): %w", bucket, err)
	}
	defer response.Body.Close()
	if region := response.Header.Get("X-Amz-Bucket-Region"); region != "" {
		return region, nil
	}
	if response.StatusCode == http.StatusNotFound {
		return "", fmt.Errorf("bucket %q does not exist", bucket)
	}
	return "", fmt.Errorf("find the region of bucket %q: the answer %q names none, set config.region", bucket, response.Status)
}

// askRegion asks another store than AWS for the region of a bucket. Most take requests that are signed for any region,
// so none is found if the store does not say.
func askRegion(ctx context.Context, client *s3.Client, bucket, otherwise string) (string, error) {
	answer, err := client.GetBucketLocation(ctx, &s3.GetBucketLocationInput{Bucket: aws.String(bucket)})
	switch {
	case err == nil && answer.LocationConstraint != "":
		return string(answer.LocationConstraint), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("find the region of bucket %q: %w", bucket, errors.Join(ctx.Err(), explained(err)))
	}
	return otherwise, nil
}
