// SPDX-License-Identifier: Apache-2.0

package training

import "sync"

// cache keeps what is made once a key. Its lock is not held while something is made: who asks for another key goes on, who
// asks for the same waits.
type cache[V any] struct {
	mu      sync.Mutex
	entries map[string]*entry[V]
}

type entry[V any] struct {
	once  sync.Once
	value V
	err   error
}

// get returns the value of a key, made by make at the first call. A failure is not kept.
func (c *cache[V]) get(key string, make func() (V, error)) (V, error) {
	c.mu.Lock()
	if c.entries == nil {
		c.entries = map[string]*entry[V]{}
	}
	e, ok := c.entries[key]
	if !ok {
		e = &entry[V]{}
		c.entries[key] = e
	}
	c.mu.Unlock()
	e.once.Do(func() { e.value, e.err = make() })
	if e.err != nil {
		c.mu.Lock()
		if c.entries[key] == e {
			delete(c.entries, key)
		}
		c.mu.Unlock()
	}
	return e.value, e.err
}

// drain empties the cache and returns what was in it. Nothing may be in the making.
func (c *cache[V]) drain() (values []V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		if e.err == nil {
			values = append(values, e.value)
		}
	}
	c.entries = nil
	return values
}
