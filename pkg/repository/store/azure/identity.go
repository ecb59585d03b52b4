package azure

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// Identity is an application, a workload or a managed identity.
type Identity struct {
	// Tenant and Client name the application. A managed identity needs neither.
	Tenant, Client string

	// Secret proves it.
	Secret string

	// Certificate, in PEM form, proves it; so does that in CertificateFile. CertificatePassword decrypts its key.
	Certificate, CertificateFile, CertificatePassword string

	// SendCertificateChain lets the authority look at the names in the certificate.
	SendCertificateChain bool

	// TokenFile holds a token of the cluster that proves it. The kubelet renews it.
	TokenFile string

	// User is set where a person's name and password were given, which is not supported.
	User string

	// OtherTenants are tenants beside Tenant that tokens may be asked for.
	OtherTenants []string
}

// credential makes what gives out the tokens of an identity. Without a proof of its own it is the managed identity of the
// node, as with Velero.
func (i Identity) credential(options azcore.ClientOptions) (azcore.TokenCredential, error) {
	switch {
	case i.Secret != "" || i.hasCertificate():
		return i.application(options)
	case i.User != "":
		return nil, errors.New("AZURE_USERNAME is not supported: Azure no longer lets a program sign in with a password")
	case i.TokenFile != "":
		return i.workload(options)
	}
	managed := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: options}
	if i.Client != "" {
		managed.ID = azidentity.ClientID(i.Client)
	}
	return azidentity.NewManagedIdentityCredential(managed)
}

func (i Identity) hasCertificate() bool { return i.Certificate != "" || i.CertificateFile != "" }

// named says what is missing of the name of an application.
func (i Identity) named() error {
	switch {
	case i.Tenant == "":
		return errors.New("the credentials have no AZURE_TENANT_ID")
	case i.Client == "":
		return errors.New("the credentials have no AZURE_CLIENT_ID")
	}
	return nil
}

func (i Identity) application(options azcore.ClientOptions) (azcore.TokenCredential, error) {
	if err := i.named(); err != nil {
		return nil, err
	}
	if i.Secret != "" {
		return azidentity.NewClientSecretCredential(i.Tenant, i.Client, i.Secret, &azidentity.ClientSecretCredentialOptions{
			ClientOptions: options, AdditionallyAllowedTenants: i.OtherTenants,
		})
	}
	content := []byte(i.Certificate)
	if len(content) == 0 {
		var err error
		if content, err = os.ReadFile(i.CertificateFile); err != nil {
			return nil, fmt.Errorf("read the client certificate: %w", err)
		}
	}
	var password []byte
	if i.CertificatePassword != "" {
		password = []byte(i.CertificatePassword)
	}
	certificates, key, err := azidentity.ParseCertificates(content, password)
	if err != nil {
		return nil, fmt.Errorf("read the client certificate: %w", err)
	}
	return azidentity.NewClientCertificateCredential(i.Tenant, i.Client, certificates, key,
		&azidentity.ClientCertificateCredentialOptions{
			ClientOptions: options, AdditionallyAllowedTenants: i.OtherTenants, SendCertificateChain: i.SendCertificateChain,
		})
}

func (i Identity) workload(options azcore.ClientOptions) (azcore.TokenCredential, error) {
	if err := i.named(); err != nil {
		return nil, err
	}
	return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
		ClientOptions: options, ClientID: i.Client, TenantID: i.Tenant, TokenFilePath: i.TokenFile,
		AdditionallyAllowedTenants: i.OtherTenants,
	})
}

// IsTrue reads a switch in a file of credentials.
func IsTrue(value string) bool { return value == "1" || strings.EqualFold(value, "true") }
