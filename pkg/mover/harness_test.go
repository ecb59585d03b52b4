package mover_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
	logrustest "github.com/sirupsen/logrus/hooks/test"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	velerov1 "github.com/node-agent/node-agent/pkg/apis/velero/v1"
	"github.com/node-agent/node-agent/pkg/apis/velero/v2alpha1"
	"github.com/node-agent/node-agent/pkg/attempts"
	"github.com/node-agent/node-agent/pkg/mover"
	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/failure"
	"github.com/node-agent/node-agent/pkg/repository/upload"
)

const (
	locationName = "default"
	duName       = "backup-abc"
	snapshotID   = "0123456789abcdef0123456789abcdef"
	patience     = 10 * time.Second
)

// bench is one mover with a DataUpload in a namespace of its own.
type bench struct {
	namespace string
	du        *v2alpha1.DataUpload
	uploader  *fakeUploader
	clock     *clocktesting.FakeClock
	transport *countingTransport
	logs      *logrustest.Hook
	options   mover.UploadOptions

	// signal does what SIGTERM does.
	signal context.CancelFunc
	done   chan error
}

// newBench makes a bench with a DataUpload in the given phase.
func newBench(ctx context.Context, phase v2alpha1.Phase) *bench {
	GinkgoHelper()
	b := newPlace(ctx)
	b.uploader = newFakeUploader()
	b.options.Open = func(context.Context, repository.Access) (mover.Uploader, error) { return b.uploader, nil }
	b.du = b.createDataUpload(ctx, phase)
	return b
}

// newPlace makes the namespace and what the storage location needs.
func newPlace(ctx context.Context) *bench {
	GinkgoHelper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "velero-"}}
	Expect(admin.Create(ctx, namespace)).To(Succeed())
	b := &bench{
		namespace: namespace.Name,
		clock:     clocktesting.NewFakeClock(time.Now()),
		done:      make(chan error, 1),
	}
	Expect(k8s.Create(ctx, &velerov1.BackupStorageLocation{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: locationName},
		Spec: velerov1.BackupStorageLocationSpec{
			Provider: "velero.io/fs",
			Config:   map[string]string{"fspath": GinkgoT().TempDir()},
			StorageType: velerov1.StorageType{
				ObjectStorage: &velerov1.ObjectStorageLocation{Bucket: "bucket"},
			},
		},
	})).To(Succeed())
	Expect(k8s.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: b.namespace, Name: "velero-repo-credentials"},
		StringData: map[string]string{"repository-password": "secret"},
	})).To(Succeed())

	log, hook := logrustest.NewNullLogger()
	log.SetOutput(GinkgoWriter)
	b.logs = hook
	dir := GinkgoT().TempDir()
	b.options = mover.UploadOptions{
		Options: mover.Options{
			Namespace:              b.namespace,
			Name:                   duName,
			Attempt:                1,
			VolumePath:             "/uid",
			VolumeMode:             corev1.PersistentVolumeFilesystem,
			ResourceTimeout:        time.Minute,
			TerminationMessagePath: filepath.Join(dir, "termination-log"),
			WorkDir:                dir,
			Clock:                  b.clock,
			Log:                    log,
		},
	}
	b.options.Client = b.newClient(restConfig)
	return b
}

// newClient returns a mover's client whose calls are counted.
func (b *bench) newClient(config *rest.Config) client.WithWatch {
	GinkgoHelper()
	counted := rest.CopyConfig(config)
	counted.Wrap(func(next http.RoundTripper) http.RoundTripper {
		b.transport = &countingTransport{next: next}
		return b.transport
	})
	c, err := mover.NewClient(counted)
	Expect(err).NotTo(HaveOccurred())
	return c
}

func (b *bench) createDataUpload(ctx context.Context, phase v2alpha1.Phase) *v2alpha1.DataUpload {
	GinkgoHelper()
	du := &v2alpha1.DataUpload{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:  b.namespace,
			Name:       duName,
			Finalizers: []string{v2alpha1.Finalizer},
			Labels:     map[string]string{v2alpha1.AsyncOperationIDLabel: "du-1.2"},
		},
		Spec: v2alpha1.DataUploadSpec{
			SnapshotType:          v2alpha1.SnapshotTypeCSI,
			SourcePVC:             "data",
			SourceNamespace:       "shop",
			BackupStorageLocation: locationName,
			OperationTimeout:      metav1.Duration{Duration: time.Minute},
		},
		Status: v2alpha1.DataUploadStatus{TransferStatus: v2alpha1.TransferStatus{Phase: phase}},
	}
	Expect(k8s.Create(ctx, du)).To(Succeed())
	return du
}

// start runs the mover beside the spec.
func (b *bench) start() {
	b.run(func(ctx context.Context) error { return mover.Upload(ctx, b.options) })
}

func (b *bench) run(move func(context.Context) error) {
	var ctx context.Context
	ctx, b.signal = context.WithCancel(context.Background())
	go func() {
		defer GinkgoRecover()
		b.done <- move(ctx)
	}()
	DeferCleanup(b.signal)
}

// ended waits for the mover and returns its termination message and error.
func (b *bench) ended() (string, error) {
	GinkgoHelper()
	var err error
	Eventually(b.done).WithTimeout(patience).Should(Receive(&err))
	message, readErr := os.ReadFile(b.options.TerminationMessagePath)
	Expect(readErr).NotTo(HaveOccurred())
	return string(message), err
}

// waiting returns once the mover has read its DataUpload and watches it.
func (b *bench) waiting() {
	GinkgoHelper()
	Eventually(func() int {
		_, watches := b.transport.counted()
		return watches
	}).WithTimeout(patience).Should(Equal(1))
	Expect(b.uploader.begun).NotTo(Receive())
}

// leaseWaits is how many wait for the clock in a move that has begun, on behalf of its lease.
const leaseWaits = 2

// pausing returns once a number wait for the clock beside those of the lease.
func (b *bench) pausing(count int) {
	GinkgoHelper()
	Eventually(b.clock.Waiters).WithTimeout(patience).Should(Equal(leaseWaits + count))
}

// uploading returns once the upload has begun.
func (b *bench) uploading() upload.Request {
	GinkgoHelper()
	var request upload.Request
	Eventually(b.uploader.begun).WithTimeout(patience).Should(Receive(&request))
	return request
}

// exitCode is the one that the mover's error asks for.
func exitCode(err error) int {
	GinkgoHelper()
	exit, ok := errors.AsType[*mover.ExitError](err)
	Expect(ok).To(BeTrue(), "%v has no exit code", err)
	return exit.Code
}

// lose gives up as many attempts at the DataUpload, as the agent does.
func (b *bench) lose(ctx context.Context, count int, phase v2alpha1.Phase) {
	GinkgoHelper()
	du := &v2alpha1.DataUpload{}
	for range count {
		attempts.Record(du, attempts.Lost{At: metav1.Now(), Reason: "the backup pod was evicted"})
	}
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": du.Annotations},
		"status":   map[string]any{"phase": phase},
	})
	Expect(err).NotTo(HaveOccurred())
	b.patch(ctx, string(body))
}

func (b *bench) patch(ctx context.Context, body string) {
	GinkgoHelper()
	Expect(k8s.Patch(ctx, b.du.DeepCopy(), mergePatch(body))).To(Succeed())
}

func mergePatch(body string) client.Patch {
	return client.RawPatch(types.MergePatchType, []byte(body))
}

func (b *bench) setPhase(ctx context.Context, phase v2alpha1.Phase) {
	GinkgoHelper()
	b.patch(ctx, `{"status":{"phase":"`+string(phase)+`"}}`)
}

func (b *bench) remove(ctx context.Context) {
	GinkgoHelper()
	b.patch(ctx, `{"metadata":{"finalizers":null}}`)
	Expect(k8s.Delete(ctx, b.du.DeepCopy())).To(Succeed())
}

func (b *bench) progress(ctx context.Context) v2alpha1.DataMoveOperationProgress {
	GinkgoHelper()
	du := &v2alpha1.DataUpload{}
	Expect(k8s.Get(ctx, client.ObjectKeyFromObject(b.du), du)).To(Succeed())
	return du.Status.Progress
}

// intercept puts functions before the mover's client.
func (b *bench) intercept(funcs interceptor.Funcs) {
	b.options.Client = interceptor.NewClient(b.options.Client, funcs)
}

// patches returns the number of PATCH requests of the mover so far.
func (b *bench) patches() int {
	calls, _ := b.transport.counted()
	count := 0
	for _, call := range calls {
		if call[:len(http.MethodPatch)] == http.MethodPatch {
			count++
		}
	}
	return count
}

func (b *bench) warnings() []string {
	var found []string
	for _, entry := range b.logs.AllEntries() {
		if entry.Level == logrus.WarnLevel {
			found = append(found, entry.Message)
		}
	}
	return found
}

// fakeUploader uploads as long as the spec wants it to.
type fakeUploader struct {
	begun  chan upload.Request
	finish chan uploaded

	// confirmed is called after the mover has confirmed a snapshot. It may be nil.
	confirmed func()

	mutex     sync.Mutex
	closed    int
	discarded []string
}

type uploaded struct {
	result upload.Result
	err    error
}

func newFakeUploader() *fakeUploader {
	return &fakeUploader{begun: make(chan upload.Request, 1), finish: make(chan uploaded, 1)}
}

func (u *fakeUploader) Upload(ctx context.Context, request upload.Request) (upload.Result, error) {
	u.begun <- request
	select {
	case <-ctx.Done():
		return upload.Result{}, failure.ErrCanceled
	case outcome := <-u.finish:
		if outcome.err != nil {
			return upload.Result{}, outcome.err
		}
		if err := request.Confirm(ctx, outcome.result.SnapshotID); err != nil {
			return upload.Result{}, fmt.Errorf("upload volume: %w", err)
		}
		if u.confirmed != nil {
			u.confirmed()
		}
		return outcome.result, nil
	}
}

func (u *fakeUploader) Discard(ctx context.Context, sourceNamespace, sourcePVC, dataUploadUID string) error {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	u.discarded = append(u.discarded, sourceNamespace+"/"+sourcePVC+" "+dataUploadUID)
	return ctx.Err()
}

// discards are the uploads that were discarded.
func (u *fakeUploader) discards() []string {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	return u.discarded
}

func (u *fakeUploader) Close(ctx context.Context) error {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	u.closed++
	return ctx.Err()
}

func (u *fakeUploader) closes() int {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	return u.closed
}

func (u *fakeUploader) succeed() {
	u.finish <- uploaded{result: upload.Result{SnapshotID: snapshotID, TotalBytes: 100, IncrementalBytes: 30}}
}

func (u *fakeUploader) fail(err error) {
	u.finish <- uploaded{err: err}
}
