// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// peer is a program that does a task as metrolab does it.
type peer struct {
	name, about string
	list        string   // of the Python packages that it needs, in this folder
	words       []string // program and what it is told behind the task
	shapes      []string // that it can do
}

var peers = []peer{
	{"jax", "JAX as one would write it first: one compiled step", "requirements.txt", []string{"jaxpeer.py"}, models},
	{"jax-tricks", "the same with donated buffers and one product for queries, keys and values", "requirements.txt", []string{"jaxpeer.py", "donate", "qkv"}, models},
	{"jax-scan", "the same, and the layers as one compiled body", "requirements.txt", []string{"jaxpeer.py", "donate", "qkv", "scan"}, models},
	{"hf", "Hugging Face's ELECTRA on PyTorch as shipped: logits at every position", "requirements.txt", []string{"torchpeer.py", "hf"}, electra},
	{"hf-masked", "the same with the vocabulary head at masked positions only", "requirements.txt", []string{"torchpeer.py", "masked"}, electra},
	{"torch", "the same maths in plain PyTorch, one product for queries, keys and values, fused attention", "requirements.txt", []string{"torchpeer.py", "same"}, models},
	{"torch-compile", "the same through torch.compile", "requirements.txt", []string{"torchpeer.py", "compiled"}, models},
	{"zeldarose", "zeldarose's RTD trainer, whose maths is its own: logits at every position, no sampling", "zeldarose.txt", []string{"zeldarosepeer.py"}, electra},
	{"tokenizers", "Hugging Face's tokenizers, ids without places", "requirements.txt", []string{"tokenizerpeer.py"}, []string{"wordpiece", "bpe", "sentencepiece", "unigram"}},
	{"datasets", "Hugging Face's datasets and tokenizers, one batched map", "datasets.txt", []string{"preparepeer.py"}, []string{prepareName}},
}

var (
	models  = []string{"electra-small", "metro-base", "tiny"}
	electra = []string{"electra-small"} // what Hugging Face's classes can do
)

func (p peer) does(s shape) bool { return slices.Contains(p.shapes, s.name) }

// start starts the peer on the task in dir, in its own environment.
func (p peer) start(ctx context.Context, scripts, dir, environments, log string) (*process, error) {
	python, err := environment(ctx, filepath.Join(scripts, p.list), environments)
	if err != nil {
		return nil, err
	}
	words := append([]string{python, filepath.Join(scripts, p.words[0]), dir}, p.words[1:]...)
	return start(ctx, log, settings(), words...)
}

// settings are the variables under which Python's peers run: on all processors, asleep while they wait, without a network.
func settings() []string {
	return []string{
		fmt.Sprintf("OMP_NUM_THREADS=%d", runtime.NumCPU()), "OMP_WAIT_POLICY=PASSIVE", "JAX_PLATFORMS=cpu", "CUDA_VISIBLE_DEVICES=",
		"HF_HUB_OFFLINE=1", "PYTHONDONTWRITEBYTECODE=1",
	}
}

// environment returns the Python of the virtual environment with the packages of a list, which it makes below environments on
// the first call, and again whenever the list has changed.
func environment(ctx context.Context, list, environments string) (python string, err error) {
	dir := filepath.Join(environments, strings.TrimSuffix(filepath.Base(list), ".txt"))
	python, installed := filepath.Join(dir, "bin", "python"), filepath.Join(dir, "installed.txt")
	want, err := os.ReadFile(list)
	if err != nil {
		return "", err
	}
	if have, err := os.ReadFile(installed); err == nil && string(have) == string(want) {
		return python, nil
	}
	fmt.Fprintf(os.Stderr, "installing %s into %s: several GB, once\n", filepath.Base(list), dir)
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	for _, words := range [][]string{
		{"python3", "-m", "venv", dir},
		{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", list},
	} {
		command := exec.CommandContext(ctx, words[0], words[1:]...)
		command.Stderr = os.Stderr
		if err := command.Run(); err != nil {
			return "", fmt.Errorf("%s: %w", strings.Join(words[:3], " "), err)
		}
	}
	return python, os.WriteFile(installed, want, 0o644)
}
