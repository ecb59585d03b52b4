package repository_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/kopia/kopia/fs"
	"github.com/kopia/kopia/fs/localfs"
	"github.com/kopia/kopia/fs/virtualfs"
	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/blob/filesystem"
	"github.com/kopia/kopia/repo/maintenance"
	"github.com/kopia/kopia/repo/manifest"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/policy"
	"github.com/kopia/kopia/snapshot/snapshotfs"
	kopiaupload "github.com/kopia/kopia/snapshot/upload"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	. "github.com/onsi/gomega/gstruct"

	"github.com/node-agent/node-agent/pkg/repository"
	"github.com/node-agent/node-agent/pkg/repository/restore"
	"github.com/node-agent/node-agent/pkg/repository/upload"
)

// likeVelero opens a repository as Velero does: with Kopia alone, from its own configuration.
func likeVelero(ctx context.Context, store *directoryStore) repo.DirectRepository {
	GinkgoHelper()
	storage, err := filesystem.New(ctx, &filesystem.Options{Path: store.root(namespace)}, false)
	Expect(err).NotTo(HaveOccurred())
	config := filepath.Join(GinkgoT().TempDir(), "kopia.config")
	options := &repo.ConnectOptions{ClientOptions: repo.ClientOptions{Hostname: "default", Username: "default"}}
	Expect(repo.Connect(ctx, config, storage, password, options)).To(Succeed())
	opened, err := repo.Open(ctx, config, password, &repo.Options{DisableRepositoryLog: true})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func(ctx context.Context) { Expect(opened.Close(ctx)).To(Succeed()) })
	return opened.(repo.DirectRepository)
}

// write changes a repository as another client would.
func write(ctx context.Context, rep repo.Repository, change func(context.Context, repo.RepositoryWriter) error) {
	GinkgoHelper()
	Expect(repo.WriteSession(ctx, rep, repo.WriteSessionOptions{Purpose: "test"}, change)).To(Succeed())
}

// source is the identity of the test volume.
var source = snapshot.SourceInfo{
	UserName: "default", Host: "default", Path: "snapshot-data-upload-download/kopia/" + namespace + "/" + pvc,
}

// makeIncomplete makes a checkpoint of a snapshot, and returns its ID.
func makeIncomplete(ctx context.Context, rep repo.Repository, id string) string {
	GinkgoHelper()
	found, err := snapshot.LoadSnapshot(ctx, rep, manifest.ID(id))
	Expect(err).NotTo(HaveOccurred())
	found.IncompleteReason = "checkpoint"
	write(ctx, rep, func(ctx context.Context, writer repo.RepositoryWriter) error {
		return snapshot.UpdateSnapshot(ctx, writer, found)
	})
	return string(found.ID)
}

// uploadLikeVelero uploads what Velero makes of a volume, with Kopia alone.
func uploadLikeVelero(ctx context.Context, rep repo.Repository, root fs.Directory) string {
	GinkgoHelper()
	var id manifest.ID
	write(ctx, rep, func(ctx context.Context, writer repo.RepositoryWriter) error {
		uploader := kopiaupload.NewUploader(writer)
		saved, err := uploader.Upload(ctx, root, policy.BuildTree(nil, policy.DefaultPolicy), source)
		if err == nil {
			saved.Tags = map[string]string{"snapshot-requester": "snapshot-data-upload-download", "snapshot-uploader": "kopia"}
			id, err = snapshot.SaveSnapshot(ctx, writer, saved)
		}
		return err
	})
	return string(id)
}

var _ = Describe("What Velero has uploaded", func() {
	var (
		store *directoryStore
		rep   repo.DirectRepository
	)

	BeforeEach(func(ctx context.Context) {
		store = &directoryStore{dir: GinkgoT().TempDir()}
		initialize(ctx, store.access(namespace))
		rep = likeVelero(ctx, store)
	})

	It("is restored: a file system", func(ctx context.Context) {
		volume := makeVolume()
		for _, name := range []string{"odd/latin-\xe4", "odd/latin-\xf6", "odd/\xff", "odd/\xfe", "shallow"} {
			Expect(os.RemoveAll(filepath.Join(volume, name))).To(Succeed()) // Kopia alone cannot store these names
		}
		Expect(os.Remove(filepath.Join(volume, "ignored/.kopiaignore"))).To(Succeed())
		Expect(os.Remove(filepath.Join(volume, "cache/CACHEDIR.TAG"))).To(Succeed())
		root, err := localfs.Directory(volume)
		Expect(err).NotTo(HaveOccurred())
		id := uploadLikeVelero(ctx, rep, root)
		expectSame(restored(ctx, open(ctx, store.access(namespace)), id), describe(volume))
	})

	It("is restored: a device, which is one file that is streamed", func(ctx context.Context) {
		content := randomBytes(8, 30<<20)
		clear(content[5<<20 : 15<<20])
		device := virtualfs.StreamingFileFromReader("/uid", io.NopCloser(bytes.NewReader(content)))
		id := uploadLikeVelero(ctx, rep, virtualfs.NewStaticDirectory("/uid", []fs.Entry{device}))
		target := filepath.Join(GinkgoT().TempDir(), "target")
		Expect(os.WriteFile(target, randomBytes(9, 40<<20), 0o600)).To(Succeed())
		repo := open(ctx, store.access(namespace))
		result, err := restore.Run(ctx, repo, restore.Request{SnapshotID: id, Path: target, Block: true})
		Expect(err).NotTo(HaveOccurred())
		Expect(result.TotalBytes).To(BeEquivalentTo(len(content)))
		restored, err := os.ReadFile(target)
		Expect(err).NotTo(HaveOccurred())
		Expect(bytes.Equal(restored, content)).To(BeTrue())
		Expect(restore.Verify(ctx, repo, restore.Request{SnapshotID: id, Path: target, Block: true})).To(Succeed())
	})
})

var _ = Describe("A repository, as Velero sees it", func() {
	var store *directoryStore

	BeforeEach(func() { store = &directoryStore{dir: GinkgoT().TempDir()} })

	// marker is the content of the blob by which Velero knows that a repository is complete.
	expectMarker := func(rep repo.DirectRepository) {
		GinkgoHelper()
		Expect(string(store.read(namespace, "udmrepo.Repository"))).To(Equal(
			`{"uniqueID":"` + base64.StdEncoding.EncodeToString(rep.UniqueID()) + `"}`))
	}

	It("has the format, the marker and the maintenance parameters", func(ctx context.Context) {
		Expect(repository.Initialize(ctx, store.access(namespace))).To(Succeed())
		Expect(store.root(namespace)).To(Equal(filepath.Join(store.dir, "some/prefix/kopia/shop")))
		Expect(store.blobs(namespace)).To(ContainElements("kopia.repository", "udmrepo.Repository"))
		Expect(store.blobs(namespace)).NotTo(ContainElement(HavePrefix("_log")))

		rep := likeVelero(ctx, store)
		expectMarker(rep)
		format := rep.ContentReader().ContentFormat()
		Expect(format.GetHashFunction()).To(Equal("BLAKE2B-256-128"))
		Expect(format.GetEncryptionAlgorithm()).To(Equal("AES256-GCM-HMAC-SHA256"))
		Expect(rep.ObjectFormat().Splitter).To(Equal("DYNAMIC-4M-BUZHASH"))
		mutable, err := format.GetMutableParameters(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(mutable.Version).To(BeEquivalentTo(3))
		Expect(mutable.MaxPackSize).To(Equal(20 << 20))

		Expect(maintenance.GetParams(ctx, rep)).To(PointTo(MatchFields(IgnoreExtras, Fields{
			"Owner":      Equal("default@default"),
			"FullCycle":  Equal(maintenance.CycleParams{Enabled: true, Interval: 24 * time.Hour}),
			"QuickCycle": Equal(maintenance.CycleParams{Enabled: true, Interval: time.Hour}),
		})))
	})

	It("has its full maintenance as often as it is set", func(ctx context.Context) {
		access := store.access(namespace)
		access.FullMaintenanceInterval = 6 * time.Hour
		Expect(repository.Initialize(ctx, access)).To(Succeed())
		Expect(maintenance.GetParams(ctx, likeVelero(ctx, store))).To(PointTo(MatchFields(IgnoreExtras, Fields{
			"FullCycle":  Equal(maintenance.CycleParams{Enabled: true, Interval: 6 * time.Hour}),
			"QuickCycle": Equal(maintenance.CycleParams{Enabled: true, Interval: time.Hour}),
		})))
	})

	It("is initialised once", func(ctx context.Context) {
		initialize(ctx, store.access(namespace))
		before := store.blobs(namespace)
		Expect(repository.Initialize(ctx, store.access(namespace))).To(Succeed())
		Expect(store.blobs(namespace)).To(ConsistOf(before))
	})

	DescribeTable("is completed after an initialisation that was cut off", func(ctx context.Context, cut func(context.Context)) {
		initialize(ctx, store.access(namespace))
		cut(ctx)
		Expect(repository.Initialize(ctx, store.access(namespace))).To(Succeed())
		rep := likeVelero(ctx, store)
		expectMarker(rep)
		params, err := maintenance.GetParams(ctx, rep)
		Expect(err).NotTo(HaveOccurred())
		Expect(params.Owner).To(Equal("default@default"))
	},
		Entry("before the marker", func(context.Context) { store.remove(namespace, "udmrepo.Repository") }),
		Entry("before the maintenance parameters", func(ctx context.Context) {
			store.remove(namespace, "udmrepo.Repository")
			write(ctx, likeVelero(ctx, store), func(ctx context.Context, writer repo.RepositoryWriter) error {
				found, err := writer.FindManifests(ctx, map[string]string{manifest.TypeLabelKey: "maintenance"})
				Expect(found).To(HaveLen(1))
				Expect(err).NotTo(HaveOccurred())
				return writer.DeleteManifest(ctx, found[0].ID)
			})
		}),
		Entry("before the format", func(context.Context) {
			for _, name := range store.blobs(namespace) {
				if name != "kopia.blobcfg" {
					store.remove(namespace, name)
				}
			}
			Expect(store.blobs(namespace)).To(ConsistOf("kopia.blobcfg"))
		}),
		Entry("before anything", func(context.Context) {
			for _, name := range store.blobs(namespace) {
				store.remove(namespace, name)
			}
		}),
	)

	DescribeTable("is made where there is something else", func(ctx context.Context, names ...string) {
		store := newS3Store()
		for _, name := range names {
			store.write(namespace, name)
		}
		Expect(repository.Initialize(ctx, store.access(namespace))).To(Succeed())
		_, err := upload.Run(ctx, open(ctx, store.access(namespace)), request(GinkgoT().TempDir()))
		Expect(err).NotTo(HaveOccurred())
		Expect(store.blobs(namespace)).To(ContainElements(names))
	},
		Entry("the marker of a folder", ""),
		Entry("a file that explains the folder", "README.md"),
		Entry("a file that keeps the folder", ".keep"),
		Entry("the configuration of storage classes", ".storageconfig"),
		Entry("another folder", "sub/", "sub/file", "packs/p0123456789abcdef0123456789abcdef"),
		Entry("a name that begins as one of Kopia's", "products", "xml", "sales.csv", "notes-2024"),
	)

	DescribeTable("is damaged without its format, whatever there is left of it", func(ctx context.Context, name string) {
		store := newS3Store()
		store.write(namespace, name)
		Expect(repository.Initialize(ctx, store.access(namespace))).To(
			MatchError(ContainSubstring("the repository is damaged: it holds 1 blobs, but not kopia.repository")))
		Expect(store.blobs(namespace)).To(ConsistOf(name))
	},
		Entry("a pack", "p2a7d5bb1c35dd1d6fa9ecf2a5e9a6ae9-s1d7ea2b9f9b4b2ff12d"),
		Entry("a pack of directories", "q2a7d5bb1c35dd1d6fa9ecf2a5e9a6ae9-s1d7ea2b9f9b4b2ff12d"),
		Entry("an index", "xn0_2a7d5bb1c35dd1d6fa9ecf2a5e9a6ae9-s1d7ea2b9f9b4b2ff12d-c1"),
		Entry("an index of an old version", "n2a7d5bb1c35dd1d6fa9ecf2a5e9a6ae9"),
		Entry("a session", "s1d7ea2b9f9b4b2ff12d"),
		Entry("the marker", "udmrepo.Repository"),
	)

	DescribeTable("is left alone if it is damaged", func(ctx context.Context, damage func(), text string) {
		initialize(ctx, store.access(namespace))
		damage()
		before := store.blobs(namespace)
		Expect(repository.Initialize(ctx, store.access(namespace))).To(MatchError(ContainSubstring(text)))
		Expect(store.blobs(namespace)).To(ConsistOf(before))
	},
		Entry("without a format", func() { store.remove(namespace, "kopia.repository") },
			"the repository is damaged: it holds "),
		Entry("with the marker of another", func() {
			content, err := json.Marshal(map[string][]byte{"uniqueID": []byte("another")})
			Expect(err).NotTo(HaveOccurred())
			Expect(os.WriteFile(store.path(namespace, "udmrepo.Repository"), content, 0o600)).To(Succeed())
		}, "the repository is damaged: marker udmrepo.Repository belongs to another repository"),
	)

	It("holds snapshots with the identity, tags, pin and policy", func(ctx context.Context) {
		uploading := request(makeVolume())
		uploading.ParallelFiles = 7
		result, err := upload.Run(ctx, open(ctx, store.access(namespace)), uploading)
		Expect(err).NotTo(HaveOccurred())

		rep := likeVelero(ctx, store)
		labels := map[string]string{
			"type": "snapshot", "hostname": "default", "username": "default", "path": source.Path,
			"snapshot-requester": "snapshot-data-upload-download", "snapshot-uploader": "kopia",
			"velero.io/async-operation-id": "du-1.2", "node-agent.io/data-upload-uid": uploading.DataUploadUID,
			"node-agent.io/incremental-bytes": strconv.FormatInt(result.TotalBytes, 10), "node-agent.io/escaped-names": "true",
			"node-agent.io/full-read": "true",
		}
		Expect(rep.FindManifests(ctx, labels)).To(HaveExactElements(
			PointTo(MatchFields(IgnoreExtras, Fields{"ID": BeEquivalentTo(result.SnapshotID), "Labels": Equal(labels)}))))
		found, err := snapshot.LoadSnapshot(ctx, rep, manifest.ID(result.SnapshotID))
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Source).To(Equal(source))
		Expect(found.Description).To(Equal("Kopia Uploader"))
		Expect(found.Pins).To(Equal([]string{"velero-pin"}))
		Expect(found.IncompleteReason).To(BeEmpty())
		Expect(found.Tags).To(Equal(map[string]string{
			"snapshot-requester": "snapshot-data-upload-download", "snapshot-uploader": "kopia",
			"velero.io/async-operation-id": "du-1.2", "node-agent.io/data-upload-uid": uploading.DataUploadUID,
			"node-agent.io/incremental-bytes": strconv.FormatInt(result.TotalBytes, 10), "node-agent.io/escaped-names": "true",
			"node-agent.io/full-read": "true",
		}))

		kept, err := policy.GetDefinedPolicy(ctx, rep, source)
		Expect(err).NotTo(HaveOccurred())
		for _, keep := range []*policy.OptionalInt{
			kept.RetentionPolicy.KeepLatest, kept.RetentionPolicy.KeepAnnual, kept.RetentionPolicy.KeepMonthly,
			kept.RetentionPolicy.KeepWeekly, kept.RetentionPolicy.KeepDaily, kept.RetentionPolicy.KeepHourly,
		} {
			Expect(keep).To(HaveValue(BeEquivalentTo(math.MaxInt32)))
		}
		Expect(kept.CompressionPolicy.CompressorName).To(BeEquivalentTo("none"))
		Expect(kept.SchedulingPolicy.Manual).To(BeTrue())
		Expect(kept.ErrorHandlingPolicy.IgnoreUnknownTypes).To(HaveValue(BeEquivalentTo(true)))
		Expect(kept.UploadPolicy.MaxParallelFileReads).To(HaveValue(BeEquivalentTo(7)))
		Expect(kept.UploadPolicy.ParallelUploadAboveSize).To(HaveValue(BeEquivalentTo(int64(2 << 30))))
		effective, err := policy.TreeForSource(ctx, rep, source)
		Expect(err).NotTo(HaveOccurred())
		Expect(effective.EffectivePolicy().MetadataCompressionPolicy.MetadataCompressor()).To(BeEquivalentTo("zstd-fastest"))
	})

	It("does not keep the same policy again", func(ctx context.Context) {
		repo := open(ctx, store.access(namespace))
		policyIDs := func() []manifest.ID {
			found, err := likeVelero(ctx, store).FindManifests(ctx, map[string]string{"type": "policy"})
			Expect(err).NotTo(HaveOccurred())
			return slices.Collect(func(yield func(manifest.ID) bool) {
				for _, entry := range found {
					yield(entry.ID)
				}
			})
		}
		volume := GinkgoT().TempDir()
		_, err := upload.Run(ctx, repo, request(volume))
		Expect(err).NotTo(HaveOccurred())
		before := policyIDs()
		Expect(before).To(HaveLen(1))
		_, err = upload.Run(ctx, repo, request(volume))
		Expect(err).NotTo(HaveOccurred())
		Expect(policyIDs()).To(Equal(before))
		uploading := request(volume)
		uploading.ParallelFiles = 9
		_, err = upload.Run(ctx, repo, uploading)
		Expect(err).NotTo(HaveOccurred())
		Expect(policyIDs()).To(And(HaveLen(1), Not(Equal(before))))
	})

	It("holds a device as one file in a directory, both named by its path", func(ctx context.Context) {
		device := filepath.Join(GinkgoT().TempDir(), "device")
		Expect(os.WriteFile(device, randomBytes(1, 3<<20), 0o600)).To(Succeed())
		uploading := request(device)
		uploading.Block = true
		result, err := upload.Run(ctx, open(ctx, store.access(namespace)), uploading)
		Expect(err).NotTo(HaveOccurred())

		rep := likeVelero(ctx, store)
		found, err := snapshot.LoadSnapshot(ctx, rep, manifest.ID(result.SnapshotID))
		Expect(err).NotTo(HaveOccurred())
		Expect(found.RootEntry.Name).To(Equal(device))
		Expect(found.RootEntry.Type).To(Equal(snapshot.EntryTypeDirectory))
		Expect(found.Stats.TotalFileSize).To(Equal(int64(3 << 20)))
		reader, err := rep.OpenObject(ctx, found.RootObjectID())
		Expect(err).NotTo(HaveOccurred())
		var content snapshot.DirManifest
		Expect(json.NewDecoder(reader).Decode(&content)).To(Succeed())
		Expect(content.Entries).To(HaveExactElements(PointTo(MatchFields(IgnoreExtras, Fields{
			"Name": Equal(device), "Type": Equal(snapshot.EntryTypeFile), "FileSize": Equal(int64(3 << 20)),
		}))))
	})

	It("may hold parents that others have made, and checkpoints", func(ctx context.Context) {
		volume := GinkgoT().TempDir()
		put(volume, "file", randomBytes(1, 1<<20), 0o644)
		repository := open(ctx, store.access(namespace))
		first, err := upload.Run(ctx, repository, request(volume))
		Expect(err).NotTo(HaveOccurred())

		By("using what a checkpoint holds, which goes away once there is a snapshot")
		velero := likeVelero(ctx, store)
		replace := func(change func(*snapshot.Manifest)) {
			GinkgoHelper()
			write(ctx, velero, func(ctx context.Context, writer repo.RepositoryWriter) error {
				found, err := snapshot.ListSnapshots(ctx, writer, source)
				Expect(err).NotTo(HaveOccurred())
				Expect(found).To(HaveLen(1))
				change(found[0])
				return snapshot.UpdateSnapshot(ctx, writer, found[0])
			})
		}
		replace(func(m *snapshot.Manifest) { m.IncompleteReason, m.Pins = "checkpoint", nil })
		Expect(repository.Snapshots(ctx, namespace, pvc)).To(BeEmpty())
		second, err := upload.Run(ctx, open(ctx, store.access(namespace)), request(volume))
		Expect(err).NotTo(HaveOccurred())
		Expect(second.IncrementalBytes).To(BeZero())
		Expect(second.TotalBytes).To(Equal(first.TotalBytes))
		Expect(velero.Refresh(ctx)).To(Succeed())
		Expect(snapshot.ListSnapshots(ctx, velero, source)).To(HaveExactElements(
			HaveField("ID", BeEquivalentTo(second.SnapshotID))))

		By("not using what another requester has made")
		replace(func(m *snapshot.Manifest) { m.Tags["snapshot-requester"] = "pod-volume-backup-restore" })
		third, err := upload.Run(ctx, open(ctx, store.access(namespace)), request(volume))
		Expect(err).NotTo(HaveOccurred())
		Expect(third.IncrementalBytes).To(Equal(third.TotalBytes))
	})

	It("passes Kopia's own verification", func(ctx context.Context) {
		result, err := upload.Run(ctx, open(ctx, store.access(namespace)), request(makeVolume()))
		Expect(err).NotTo(HaveOccurred())
		rep := likeVelero(ctx, store)
		found, err := snapshot.LoadSnapshot(ctx, rep, manifest.ID(result.SnapshotID))
		Expect(err).NotTo(HaveOccurred())
		root, err := snapshotfs.SnapshotRoot(rep, found)
		Expect(err).NotTo(HaveOccurred())
		verifier := snapshotfs.NewVerifier(ctx, rep, snapshotfs.VerifierOptions{VerifyFilesPercent: 100, Parallelism: 2})
		_, err = verifier.InParallel(ctx, func(walker *snapshotfs.TreeWalker) error { return walker.Process(ctx, root, ".") })
		Expect(err).NotTo(HaveOccurred())
	})
})
