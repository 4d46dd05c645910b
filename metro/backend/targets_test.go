// SPDX-License-Identifier: Apache-2.0

package backend

import (
	"errors"
	"testing"

	"github.com/gomlx/compute"
	"github.com/stretchr/testify/require"

	"metrolab/internal/usererr"
)

var (
	cpuPlugin    = Plugin{Path: "/p/pjrt_c_api_cpu_plugin.so", Kind: XLACPU}
	cudaPlugin   = Plugin{Path: "/p/pjrt_c_api_cuda_plugin.so", Kind: XLACUDA}
	brokenPlugin = Plugin{Path: "/q/pjrt_c_api_cpu_plugin.so", Kind: XLACPU, Problem: "is cut short"}
	gpu          = []string{"/dev/nvidia0"}
)

const (
	cpuTarget  = "xla:/p/pjrt_c_api_cpu_plugin.so"
	cudaTarget = "xla:/p/pjrt_c_api_cuda_plugin.so,tf32=false"
	goTarget   = "go:ops_sequential"
)

func TestTargets(t *testing.T) {
	all := []Plugin{brokenPlugin, cpuPlugin, cudaPlugin}
	for _, c := range []struct {
		name, spec string
		machine    Machine
		want       []string
	}{
		{"bare machine", "auto", Machine{XLA: true}, []string{goTarget}},
		{"CPU plugin", "", Machine{XLA: true, Plugins: []Plugin{cpuPlugin}}, []string{cpuTarget, goTarget}},
		{"GPU without its plugin", "auto", Machine{XLA: true, GPUs: gpu, Plugins: []Plugin{cpuPlugin}}, []string{cpuTarget, goTarget}},
		{"CUDA plugin without a GPU", "auto", Machine{XLA: true, Plugins: all}, []string{cpuTarget, goTarget}},
		{"everything", "auto", Machine{XLA: true, GPUs: gpu, Plugins: all}, []string{cudaTarget, cpuTarget, goTarget}},
		{"only a broken plugin", "auto", Machine{XLA: true, Plugins: []Plugin{brokenPlugin}}, []string{goTarget}},
		{"built without XLA", "auto", Machine{GPUs: gpu, Plugins: all}, []string{goTarget}},
		{"go asked for", "go", Machine{XLA: true, GPUs: gpu, Plugins: all}, []string{goTarget}},
		{"cpu asked for", "xla", Machine{XLA: true, GPUs: gpu, Plugins: all}, []string{cpuTarget}},
		{"devices asked for", "auto,devices=2", Machine{XLA: true, Plugins: all}, []string{cpuTarget}},
		{"GPUs asked for", "auto,devices=2", Machine{XLA: true, GPUs: []string{"/dev/nvidia0", "/dev/nvidia1"}, Plugins: all}, []string{cudaTarget}},
		{"one device asked for", "auto,devices=1", Machine{XLA: true, GPUs: gpu, Plugins: all}, []string{cudaTarget, cpuTarget, goTarget}},
		{"threads asked for", "xla:cpu,threads=2,a=1", Machine{XLA: true, Plugins: all}, []string{cpuTarget + ",a=1"}},
		{"cuda asked for", "xla:cuda,a=1", Machine{XLA: true, Plugins: all}, []string{cudaTarget + ",a=1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, err := c.machine.targets(parseSpec(c.spec))
			require.NoError(t, err)
			var got []string
			for _, target := range list {
				got = append(got, target.String())
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestSpecsThatCannotBeMet(t *testing.T) {
	with := Machine{XLA: true, SearchPath: []string{"/q"}, Plugins: []Plugin{brokenPlugin}}
	for _, c := range []struct {
		spec    string
		machine Machine
		want    string
	}{
		{"xla:cpu", with, "no usable XLA CPU plugin in /q; /q/pjrt_c_api_cpu_plugin.so is cut short; run ./scripts/setup, or"},
		{"xla:cuda", with, "no usable XLA CUDA plugin in /q; run ./scripts/setup --cuda, or"},
		{"xla:cpu", Machine{}, "built without XLA"},
		{"xla:tpu", with, `unknown XLA plugin "tpu"`},
		{"xla:relative/cpu.so", with, "absolute path"},
		{"xla:/nowhere/cpu.so", with, "plugin /nowhere/cpu.so cannot be read"},
		{"xla:/nowhere/plugin.so", with, "says neither cpu nor cuda"},
		{"torch", with, `unknown backend "torch"; use auto, go, xla:cpu`},
		{"auto:cpu", with, `unknown backend "auto:cpu"`},
		{"auto,a=1", with, "unknown backend"},
		{"auto,deterministic", with, "auto,deterministic: deterministic is no option of a backend, as results depend on it; a run says training.matmul=tf32, and training.deterministic=true"},
		{"xla:cuda,tf32=false", with, "xla:cuda,tf32=false: tf32 is no option of a backend"},
		{"go,deterministic", with, "deterministic is no option of a backend"},
		{"xla:cpu,threads=0", Machine{XLA: true, Plugins: []Plugin{cpuPlugin}}, "xla:cpu,threads=0: threads are a whole number from 1 on, and not \"0\""},
		{"xla:cpu,threads=many", Machine{XLA: true, Plugins: []Plugin{cpuPlugin}}, "whole number"},
		{"xla:cpu,devices=0", Machine{XLA: true, Plugins: []Plugin{cpuPlugin}}, "xla:cpu,devices=0: devices are a whole number from 1 on, and not \"0\""},
		{"xla:cpu,devices=65", Machine{XLA: true, Plugins: []Plugin{cpuPlugin}}, "the processor is divided into 64 devices at most"},
		{"auto,devices=2", Machine{XLA: true}, "devices=2: pure Go has one device"},
		{"go,devices=2", with, "devices=2: pure Go has one device"},
		{"auto,devices=2", Machine{XLA: true, GPUs: gpu, Plugins: []Plugin{cudaPlugin, cpuPlugin}}, "devices=2: there are not so many NVIDIA GPUs here, but 1; ask for no more"},
		{"xla:cuda,threads=2", Machine{XLA: true, Plugins: []Plugin{cudaPlugin}}, "threads are of XLA on the processor, and /p/pjrt_c_api_cuda_plugin.so is for a GPU"},
	} {
		_, err := c.machine.targets(parseSpec(c.spec))
		require.ErrorContains(t, err, c.want, c.spec)
		require.True(t, usererr.Is(err), c.spec)
	}
}

func TestTheNextTargetIsTakenIfOneDoesNotOpen(t *testing.T) {
	list := []target{{kind: XLACUDA, plugin: "/a"}, {kind: Go}}
	var tried []Kind
	_, err := openFirst(list, func(t target) (compute.Backend, error) {
		tried = append(tried, t.kind)
		if t.kind == Go {
			return nil, nil
		}
		return nil, errors.New("no driver")
	})
	require.NoError(t, err)
	require.Equal(t, []Kind{XLACUDA, Go}, tried)

	_, err = openFirst(list[:1], func(target) (compute.Backend, error) { return nil, errors.New("no driver") })
	require.ErrorContains(t, err, "no driver")
}
