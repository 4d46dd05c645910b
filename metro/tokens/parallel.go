// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"iter"
	"runtime"
)

// batchBytes is how much text is encoded by one core at a time.
const batchBytes = 128 << 10

// batch is some texts in a row, and their ids.
type batch struct {
	texts []string
	ids   []int32
	ends  []int         // of each text's ids
	done  chan struct{} // closed when they are encoded
}

// encode finds the ids of the texts.
func (b *batch) encode(t Tokenizer) {
	defer close(b.done)
	for _, text := range b.texts {
		from := len(b.ids)
		b.ids = t.EncodeIDs(b.ids, text)
		Plain(t, b.ids[from:])
		b.ends = append(b.ends, len(b.ids))
	}
}

// encoded encodes texts on all cores and hands each over with its ids, in their order, whatever the number of cores. Twice as
// many batches as cores are in memory at most. It ends at the first error of yield.
func encoded(t Tokenizer, texts iter.Seq[string], yield func(text string, ids []int32) error) error {
	queue, stop := make(chan *batch, 2*runtime.GOMAXPROCS(0)-1), make(chan struct{})
	defer func() { // also those who are not waited for have ended when this returns
		close(stop)
		for b := range queue {
			<-b.done
		}
	}()
	go func() {
		defer close(queue)
		b, size := &batch{done: make(chan struct{})}, 0
		send := func() bool {
			go b.encode(t)
			select {
			case queue <- b:
				b, size = &batch{done: make(chan struct{})}, 0
				return true
			case <-stop:
				<-b.done
				return false
			}
		}
		for text := range texts {
			b.texts = append(b.texts, text)
			if size += len(text); size >= batchBytes && !send() {
				return
			}
		}
		if len(b.texts) > 0 {
			send()
		}
	}()
	for b := range queue {
		<-b.done
		from := 0
		for i, text := range b.texts {
			if err := yield(text, b.ids[from:b.ends[i]]); err != nil {
				return err
			}
			from = b.ends[i]
		}
	}
	return nil
}
