// SPDX-License-Identifier: Apache-2.0

package notebook

import (
	"strconv"
	"time"

	"github.com/janpfeifer/gonb/gonbui"

	"metrolab/viz/display"
)

// Live is a place below a notebook's cell whose outputs change while the cell runs. Frames are as frequent as costs at most
// 2 % of the time, but not more than two a second, and one every ten seconds in any case. What stays, also in a notebook
// that runs without a screen, is the last frame. Outside a notebook only that one is drawn, and written as by [Show].
//
// Its methods are for one goroutine.
type Live struct {
	notebook    bool
	now         func() time.Time
	show        func(b display.Bundle, id string) error
	id          string
	begun, last time.Time     // of the first and the last frame
	cost, spent time.Duration // of the last frame, and of all
	waiting     func() []Output
	err         error
}

const (
	liveShare = 50                     // one part in so many of the time is for frames
	liveLeast = 500 * time.Millisecond // between frames
	liveMost  = 10 * time.Second
)

// NewLive returns a place that is empty until the first Update.
func NewLive() *Live {
	return &Live{notebook: gonbui.IsNotebook, now: time.Now, show: show, id: gonbui.UniqueId()}
}

// Update shows a new frame if one is due, and calls frame only then or, for the last one, in Close. What cannot be drawn
// never stops the caller: Close returns it.
func (l *Live) Update(frame func() []Output) {
	l.waiting = frame
	if l.notebook && l.due() {
		l.draw()
	}
}

// Close shows the last frame, and returns the first error of any.
func (l *Live) Close() error {
	l.draw()
	sync()
	err := l.err
	l.err = nil
	return complain(err)
}

func (l *Live) due() bool {
	now := l.now()
	if l.begun.IsZero() {
		return true
	}
	wait := now.Sub(l.last)
	return wait >= liveMost || wait >= liveLeast && liveShare*(l.spent+l.cost) <= now.Sub(l.begun)
}

func (l *Live) draw() {
	if l.waiting == nil {
		return
	}
	start := l.now()
	for i, o := range l.waiting() {
		b, err := o.Bundle()
		if err == nil {
			err = l.show(b, l.id+"-"+strconv.Itoa(i))
		}
		l.fail(err)
	}
	l.waiting, l.last = nil, l.now()
	l.cost = l.last.Sub(start)
	l.spent += l.cost
	if l.begun.IsZero() {
		l.begun = start
	}
}

// fail keeps the first error.
func (l *Live) fail(err error) {
	if l.err == nil {
		l.err = err
	}
}
