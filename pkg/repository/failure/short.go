package failure

// shortError has words of its own for another error.
type shortError struct {
	text string
	err  error
}

func (e *shortError) Error() string { return e.text }
func (e *shortError) Unwrap() error { return e.err }

// Short is err in a few words, where those of a client are many, or have an ID in them that is another each time.
func Short(text string, err error) error { return &shortError{text: text, err: err} }
