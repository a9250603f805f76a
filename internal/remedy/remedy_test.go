package remedy

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"testing"
)

// An error with remedies says what its cause says, and is what its cause is.
func TestAttachTo(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("build: %w", AttachTo(fmt.Errorf("read a: %w", fs.ErrNotExist), Command{"image", "build"}))
	if want := "build: read a: file does not exist"; err.Error() != want {
		t.Errorf("it says %q, want %q", err, want)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("it is not what its cause is")
	}
	var e *Error
	if !errors.As(err, &e) || !reflect.DeepEqual(e.Remedies, []Remedy{Command{"image", "build"}}) {
		t.Errorf("its remedies are not found: %v", e)
	}
	if err := AttachTo(nil, Option("force")); err != nil {
		t.Errorf("no error became %v", err)
	}
}

func TestFindIn(t *testing.T) {
	t.Parallel()
	cause := errors.New("no room")
	room, list, force := Advice("make room"), Command{"image", "list"}, Option("force")
	for name, test := range map[string]struct {
		err  error
		want []Remedy
	}{
		"no error": {nil, nil},
		"none":     {fmt.Errorf("build: %w", cause), nil},
		"the cause's first": {AttachTo(fmt.Errorf("build: %w", AttachTo(cause, room, list)), force),
			[]Remedy{room, list, force}},
		"of joined errors": {errors.Join(AttachTo(cause, list), cause, AttachTo(cause, force)),
			[]Remedy{list, force}},
		"of two causes": {fmt.Errorf("%w: %w", AttachTo(cause, list), AttachTo(cause, room)),
			[]Remedy{list, room}},
		"each once": {errors.Join(AttachTo(cause, list, room),
			AttachTo(cause, Command{"image", "list"})), []Remedy{list, room}},
		"of what all joined share": {AttachTo(errors.Join(AttachTo(cause, list), cause), force), []Remedy{list, force}},
	} {
		if got := FindIn(test.err); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
