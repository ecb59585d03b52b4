package main

import (
	"fmt"
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

const (
	barWidth   = 40
	barRefresh = 100 * time.Millisecond
)

// progressBar shows on a terminal how much of a volume is done. A nil one shows nothing.
type progressBar struct {
	container *mpb.Progress
	bar       *mpb.Bar
}

// newProgressBar begins a bar before it is known how much there is to do, and says what is done instead.
func newProgressBar(out io.Writer, doing string) *progressBar {
	container := mpb.New(mpb.WithOutput(out), mpb.WithWidth(barWidth), mpb.WithRefreshRate(barRefresh))
	bar := container.AddBar(0,
		mpb.PrependDecorators(decor.Name("           ")),
		mpb.AppendDecorators(decor.Any(func(s decor.Statistics) string {
			if s.Total == 0 {
				return " " + doing
			}
			return fmt.Sprintf(" %3.0f %%  %s of %s", percent(s.Current, s.Total), mib(s.Current), mib(s.Total))
		})))
	return &progressBar{container: container, bar: bar}
}

func (b *progressBar) set(done, total int64) {
	if b == nil {
		return
	}
	b.bar.SetTotal(total, false)
	b.bar.SetCurrent(done)
}

// end leaves the bar as it is on the screen.
func (b *progressBar) end() {
	if b == nil {
		return
	}
	b.bar.Abort(false)
	b.container.Wait()
}

func percent(done, total int64) float64 {
	return 100 * float64(done) / float64(total)
}
