package s3

import (
	"context"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"github.com/node-agent/node-agent/pkg/repository/store/transport"
)

// New opens the bucket.
func New(ctx context.Context, options Options) (*Storage, error) {
	services, bucket, err := options.clients()
	if err != nil {
		return nil, err
	}
	return open(ctx, options, services, bucket)
}

// clients make connections: to AWS's services that give out keys, whose certificates are verified in any case, and to the
// bucket.
func (o Options) clients() (services, bucket *awshttp.BuildableClient, err error) {
	roots, err := transport.Roots(o.RootCA)
	if err != nil {
		return nil, nil, err
	}
	services = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.TLSClientConfig.RootCAs = roots
	})
	bucket = services.WithTransportOptions(func(t *http.Transport) {
		t.TLSClientConfig.InsecureSkipVerify = o.SkipTLSVerify
		transport.Configure(t)
		// What is stored is compressed by Kopia, and no header is to be added behind the signature.
		t.DisableCompression = true
	})
	return services, bucket, nil
}

// open finds the region if need be, and looks how the bucket is configured.
func open(ctx context.Context, options Options, services, bucket *awshttp.BuildableClient) (*Storage, error) {
	err := options.validate()
	if err != nil {
		return nil, err
	}
	options = options.located()
	if options.Region == "" && options.Endpoint == "" {
		asking := &http.Client{Transport: services.GetTransport(), Timeout: requestTimeout, CheckRedirect: answerOnly}
		if options.Region, err = bucketRegion(ctx, asking, "https://"+globalEndpoint, options.Bucket); err != nil {
			return nil, err
		}
	}
	loaded, err := configuration(ctx, options, services)
	if err != nil {
		return nil, err
	}
	loaded.HTTPClient = bucket
	result := &Storage{options: options, client: newClient(loaded, options)}
	if options.Region == "" {
		region, err := askRegion(ctx, result.client, options.Bucket, loaded.Region)
		if err != nil {
			return nil, err
		}
		loaded.Region = region
		result.client = newClient(loaded, options)
	}
	if result.customerKey, err = options.Encryption.customerKey(); err != nil {
		return nil, err
	}
	return result, result.readClasses(ctx)
}

// answerOnly does not follow a redirect: where it leads to is the answer.
func answerOnly(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// newClient makes the client that speaks to the bucket. It adds to the requests only what the options ask for: not all
// servers take the checksums and headers that AWS has added over the years.
func newClient(loaded aws.Config, options Options) *s3.Client {
	return s3.NewFromConfig(loaded, func(o *s3.Options) {
		if options.Endpoint != "" {
			o.BaseEndpoint = aws.String(options.Endpoint)
		}
		o.UsePathStyle = options.Addressing == AddressingPath ||
			options.Addressing == AddressingAuto && options.Endpoint != "" && !wantsHostAddressing(options.Endpoint)
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.ContinueHeaderThresholdBytes = -1 // no round trip before each pack
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			// Proxies and Google's front end change this header, so that its signature no longer fits.
			_, err := stack.Finalize.Remove("DisableAcceptEncodingGzip")
			return err
		})
	})
}

// unsigned leaves the hash of the data out of the signature where TLS protects it.
func unsigned(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
}
