package queue

import "fmt"

// Place is a position in a queue, counted from 1; 0 is that of who need not wait.
type Place int

// String is exact at the head of the queue only: a place that changed with every step of a long queue would be written
// to everyone in it each time.
func (p Place) String() string {
	const exact = Place(10)
	if p <= exact {
		return fmt.Sprintf("place %d", int(p))
	}
	least := exact
	for _, step := range []Place{20, 50, 100, 200, 500, 1000} {
		if p > step {
			least = step
		}
	}
	return fmt.Sprintf("after place %d", int(least))
}
