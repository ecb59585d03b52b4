package logging_test

import (
	"bytes"
	"encoding/json"
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/sirupsen/logrus"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/node-agent/node-agent/pkg/logging"
)

var _ = Describe("The logger", func() {
	DescribeTable("knows its levels",
		func(level string, want logrus.Level) {
			log, err := logging.New(level, logging.FormatText, &bytes.Buffer{})
			Expect(err).NotTo(HaveOccurred())
			Expect(log.Level).To(Equal(want))
		},
		Entry("panic", "panic", logrus.PanicLevel),
		Entry("fatal", "fatal", logrus.FatalLevel),
		Entry("error", "error", logrus.ErrorLevel),
		Entry("warning", "warning", logrus.WarnLevel),
		Entry("info", "info", logrus.InfoLevel),
		Entry("debug", "debug", logrus.DebugLevel),
		Entry("trace", "trace", logrus.TraceLevel),
	)

	DescribeTable("refuses what it does not know",
		func(level, format, want string) {
			_, err := logging.New(level, format, &bytes.Buffer{})
			Expect(err).To(MatchError(want))
		},
		Entry("a level", "loud", "text",
			`log level "loud" is unknown, it must be one of panic, fatal, error, warning, info, debug, trace`),
		Entry("no level", "", "text",
			`log level "" is unknown, it must be one of panic, fatal, error, warning, info, debug, trace`),
		Entry("a format", "info", "xml", `log format "xml" is unknown, it must be text or json`),
		Entry("no format", "info", "", `log format "" is unknown, it must be text or json`),
	)

	It("writes text", func() {
		out := &bytes.Buffer{}
		log, err := logging.New("info", logging.FormatText, out)
		Expect(err).NotTo(HaveOccurred())
		log.WithField("a", 1).Info("said")
		log.Debug("not said")
		Expect(out.String()).To(MatchRegexp(`^time="\d{4}-\d\d-\d\dT[^"]+" level=info msg=said a=1\n$`))
	})

	It("writes JSON", func() {
		out := &bytes.Buffer{}
		log, err := logging.New("info", logging.FormatJSON, out)
		Expect(err).NotTo(HaveOccurred())
		log.WithField("a", 1).Info("said")
		var line map[string]any
		Expect(json.Unmarshal(out.Bytes(), &line)).To(Succeed())
		Expect(line).To(And(HaveKeyWithValue("msg", "said"), HaveKeyWithValue("level", "info"), HaveKey("time")))
	})

	// controller-runtime takes the first logger it is given, and keeps it.
	Describe("carries over", Ordered, func() {
		out := &bytes.Buffer{}

		BeforeAll(func() {
			log, err := logging.New("debug", logging.FormatText, out)
			Expect(err).NotTo(HaveOccurred())
			DeferCleanup(klog.ClearLogger)
			logging.Bridge(log)
		})

		BeforeEach(out.Reset)

		DescribeTable("what others log",
			func(say func(), want string) {
				say()
				Expect(out.String()).To(MatchRegexp(want))
			},
			Entry("controller-runtime", func() { ctrl.Log.Info("said", "a", "b") }, `level=info msg=said a=b`),
			Entry("controller-runtime's addresses of event sources", func() {
				ctrl.Log.WithName("controller").WithValues("controller", "x").Info("Starting EventSource", "source", "0xc000123")
			}, `level=debug msg="?Starting EventSource`),
			Entry("controller-runtime at V(1)", func() { ctrl.Log.V(1).Info("said") }, `level=debug msg=said`),
			Entry("controller-runtime at V(2)", func() { ctrl.Log.V(2).Info("said") }, `^$`),
			Entry("controller-runtime's errors", func() { ctrl.Log.Error(errors.New("cause"), "said") },
				`level=error msg=said error=cause`),
			Entry("klog", func() { klog.InfoS("said", "a", "b") }, `level=info msg=said a=b`),
			Entry("klog's errors", func() { klog.ErrorS(errors.New("cause"), "said") }, `level=error msg=said error=cause`),
			Entry("klog at V(1)", func() { klog.V(1).InfoS("said") }, `^$`),
			Entry("klog at V(1) with -v 1", func() {
				flags := logging.KlogFlags()
				DeferCleanup(flags.Set, "v", "0")
				Expect(flags.Parse([]string{"-v", "1"})).To(Succeed())
				klog.V(1).InfoS("said")
			}, `level=debug msg=said`),
		)
	})
})
