// SPDX-License-Identifier: Apache-2.0

// Command metro prepares text, pretrains and fine-tunes encoders, and runs ablation studies. `metro --help` says more.
package main

import "metrolab/metro/cli"

func main() { cli.Main() }
