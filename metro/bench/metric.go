// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
)

// Metric says what the numbers under a key of [Case.Samples] are.
type Metric struct {
	Key    string
	Label  string
	Higher bool                   // is better
	Format func(x float64) string // with its unit

	Meaning string
}

// The keys of [Case.Samples].
const (
	TokensPerSecond          = "tokens_per_second"
	TokensPerProcessorSecond = "tokens_per_processor_second"
	StepSeconds              = "step_seconds"
	StepProcessorSeconds     = "step_processor_seconds"
	FLOPsPerSecond           = "flops_per_second"
	PeakFLOPsPerSecond       = "peak_flops_per_second"
	PeakShare                = "peak_share"
	PeakMemory               = "peak_memory_bytes"
	DeviceMemory             = "device_memory_bytes"
	CompileSeconds           = "compile_seconds"
	CompileProcessorSeconds  = "compile_processor_seconds"
	LoaderShare              = "loader_share"
	HostShare                = "host_share"
	CallSeconds              = "call_seconds"
	CallProcessorSeconds     = "call_processor_seconds"
)

var metrics = []Metric{
	{TokensPerSecond, "tokens/s", true, count, "tokens of the rows that a second of wall time trains on"},
	{TokensPerProcessorSecond, "tokens/processor s", true, count, "the same for a second of a core's time, whoever else uses the machine"},
	{StepSeconds, "step", false, seconds, "wall time of a step, with all that the trainer does between two"},
	{StepProcessorSeconds, "step, processor s", false, seconds, "time of all cores for a step"},
	{FLOPsPerSecond, "GFLOP/s", true, giga, "operations of the matrix products of a step, by its wall time"},
	{PeakFLOPsPerSecond, "matmul GFLOP/s", true, giga, "what products of square matrices reached just before: of side 1024, on a GPU 8192"},
	{PeakShare, "of matmul", true, percent, "the one in parts of the other"},
	{PeakMemory, "peak memory", false, size, "most memory that the process held at once, compilation included"},
	{DeviceMemory, "GPU memory", false, size, "most memory of a GPU that the step's program takes at once, by its compiler"},
	{CompileSeconds, "compile", false, seconds, "time in the compiler until the first step ended"},
	{CompileProcessorSeconds, "compile, processor s", false, seconds, "time of all cores meanwhile"},
	{LoaderShare, "loader wait", false, percent, "part of the wall time in which the trainer waited for a batch"},
	{HostShare, "host time", false, percent, "part of the wall time in which the engine computed nothing and no batch was waited for"},
	{CallSeconds, "call", false, seconds, "wall time of a call"},
	{CallProcessorSeconds, "processor s a call", false, seconds, "time of all cores for a call, that of the timer included"},
}

// Metrics lists all of them, in the order of tables.
func Metrics() []Metric { return slices.Clone(metrics) }

// metric finds the entry of a key; one from another version of the program is written as it is.
func metric(key string) Metric {
	if i := slices.IndexFunc(metrics, func(m Metric) bool { return m.Key == key }); i >= 0 {
		return metrics[i]
	}
	return Metric{Key: key, Label: key, Format: func(x float64) string { return fmt.Sprintf("%.4g", x) }}
}

func count(x float64) string {
	if x < 100 {
		return fmt.Sprintf("%.3g", x)
	}
	return humanize.Comma(int64(x + 0.5))
}

func giga(x float64) string { return fmt.Sprintf("%.3g", x/1e9) }

func percent(x float64) string {
	decimals := 1
	if x >= 0.0995 {
		decimals = 0
	}
	return fmt.Sprintf("%.*f %%", decimals, 100*x)
}

func size(x float64) string { return humanize.BytesN(uint64(x), 3) }

// seconds writes a time with three digits.
func seconds(x float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1, "s"}, {1e-3, "ms"}, {1e-6, "µs"}} {
		if x >= unit.size {
			return significant(x/unit.size) + " " + unit.name
		}
	}
	return time.Duration(x * 1e9).String()
}

// significant writes three digits.
func significant(x float64) string {
	decimals := 2
	for limit := 9.995; decimals > 0 && x >= limit; limit *= 10 {
		decimals--
	}
	return fmt.Sprintf("%.*f", decimals, x)
}
