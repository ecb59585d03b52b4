package pods

import (
	"sync"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// sandbox is a pod that was started here.
type sandbox struct {
	name      types.NamespacedName
	processes []*process
	// done is closed when all processes are over.
	done chan struct{}

	stopping sync.Once
}

// newSandbox starts all commands. ended is called whenever a process is over.
func newSandbox(name types.NamespacedName, commands []command, ended func()) *sandbox {
	s := &sandbox{name: name, done: make(chan struct{})}
	var running sync.WaitGroup
	for _, command := range commands {
		running.Add(1)
		p, err := startProcess(command, func() { running.Done(); ended() })
		if err != nil {
			p = failedProcess(err)
			running.Done()
		}
		s.processes = append(s.processes, p)
	}
	go func() {
		running.Wait()
		close(s.done)
		ended()
	}()
	return s
}

// isDone tells whether all processes are over.
func (s *sandbox) isDone() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// stop asks the processes to end and kills them after the grace period. It does not wait.
func (s *sandbox) stop(grace time.Duration) {
	s.stopping.Do(func() {
		s.signal(syscall.SIGTERM)
		go func() {
			select {
			case <-s.done:
			case <-time.After(grace):
				s.signal(syscall.SIGKILL)
			}
		}()
	})
}

func (s *sandbox) signal(signal syscall.Signal) {
	for _, p := range s.processes {
		p.signal(signal)
	}
}
