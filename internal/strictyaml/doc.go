// SPDX-License-Identifier: Apache-2.0

// Package strictyaml reads and writes YAML of which every line counts: keys that are known and stand once, and values that are
// taken as they are written. Anchors, aliases, tags and further documents are refused. Each fault names file and line.
package strictyaml
