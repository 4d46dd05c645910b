// SPDX-License-Identifier: Apache-2.0

package metro

import (
	"cmp"
	"math"
)

// ScheduleMoment is the point of a run, or of its stage, at which a learning rate is asked for.
type ScheduleMoment struct {
	Step, Steps   float64 // of the stage: step is 1 … Steps
	Peak          float64 // optimizer.learning_rate
	Warmup        float64 // optimizer.warmup_steps
	FinalFraction float64 // optimizer.final_fraction
	Option        func(name string) any
}

// ScheduleFunc returns the learning rate of a moment.
type ScheduleFunc func(m ScheduleMoment) float64

// ScheduleEntry is a registered schedule of the learning rate: what config field optimizer.schedule can name.
type ScheduleEntry struct {
	Part
	Rate ScheduleFunc
}

var schedules = newRegistry("schedule",
	ScheduleEntry{Part{Name: ScheduleThen, Version: 1}, warmupThenDecay},
	ScheduleEntry{Part{Name: ScheduleTimes, Version: 1}, warmupTimesDecay},
)

// RegisterSchedule makes a schedule of the learning rate of one's own available as optimizer.schedule, with its options as
// optimizer.schedule_options.NAME. See [RegisterObjective] for name and version.
func RegisterSchedule(name string, version int, rate ScheduleFunc, options ...Option) {
	schedules.add(ScheduleEntry{Part{Name: name, Version: version, Options: options}, rate})
}

// warmupThenDecay rises linearly to the peak and then falls linearly.
func warmupThenDecay(m ScheduleMoment) float64 {
	if m.Step <= m.Warmup {
		return m.Peak * (m.Step / m.Warmup)
	}
	return m.Peak * (1 - (1-m.FinalFraction)*(m.Step-1-m.Warmup)/(m.Steps-m.Warmup))
}

// warmupTimesDecay is the product of the rise and a fall that begins at the first step: its maximum is below the peak.
func warmupTimesDecay(m ScheduleMoment) float64 {
	return m.Peak * (1 - (1-m.FinalFraction)*(m.Step-1)/m.Steps) * min(1, m.Step/max(m.Warmup, 1))
}

// LearningRate returns the rate of a step, 1 … steps. Both shipped schedules warm up linearly, to the full rate at step
// WarmupSteps, and fall linearly; "warmup_then_decay" does one after the other (the fairseq family: COCO-LM, METRO-T0),
// "warmup_times_decay" multiplies them, so that its maximum stays below the peak (ELECTRA's code). No step is wasted on a
// rate of 0 at either end: the rise counts the step itself, and the fall, as in the published codes, the steps before it, so
// that FinalFraction of the peak is where the rate would be after the last step. With training.generator_steps each stage has a
// schedule of its own; those of training.prefix_steps have one together.
func (c Config) LearningRate(step int) float64 {
	o := c.Optimizer
	t, n := c.Stage(step)
	return schedules.get(cmp.Or(o.Schedule, ScheduleThen)).Rate(ScheduleMoment{
		Step: t, Steps: n, Peak: o.LearningRate, Warmup: float64(o.WarmupSteps), FinalFraction: o.FinalFraction,
		Option: c.optionsAt("optimizer.schedule_options"),
	})
}

// Stage returns the step within its stage of training, and the stage's length.
func (c Config) Stage(step int) (t, n float64) {
	first := c.Training.GeneratorSteps
	if step <= first {
		return float64(step), float64(first)
	}
	return float64(step - first), float64(c.Training.Steps - first)
}

// TemperatureMoment is the point of a run at which the temperature of the samples is asked for.
type TemperatureMoment struct {
	Over        float64 // part of the run that is over, in [0, 1)
	Temperature float64 // replacements.temperature
	Decay       float64 // replacements.temperature_decay
	Option      func(name string) any
}

// TemperatureFunc returns the temperature of a moment.
type TemperatureFunc func(m TemperatureMoment) float64

// TemperatureEntry is a registered schedule of the temperature: what config field replacements.temperature_schedule can
// name.
type TemperatureEntry struct {
	Part
	Temperature TemperatureFunc
}

var temperatures = newRegistry("temperature",
	TemperatureEntry{Part{Name: TemperatureConstant, Version: 1}, func(m TemperatureMoment) float64 { return m.Temperature }},
	TemperatureEntry{Part{Name: TemperatureExponential, Version: 1}, func(m TemperatureMoment) float64 {
		return 1 + (m.Temperature-1)*math.Exp(-m.Over/m.Decay)
	}},
	TemperatureEntry{Part{Name: TemperatureLinear, Version: 1}, func(m TemperatureMoment) float64 {
		return m.Temperature - (m.Temperature-1)*m.Over
	}},
	TemperatureEntry{Part{Name: TemperaturePolynomial, Version: 1, Options: []Option{{Name: "power", Class: ClassInput, Neutral: 2.0, Low: 0.1, High: 10, Help: "p of T = 1 + (T0 − 1)·(1 − u)^p"}}}, func(m TemperatureMoment) float64 {
		return 1 + (m.Temperature-1)*math.Pow(1-m.Over, m.Option("power").(float64))
	}},
)

// RegisterTemperature makes a schedule of the temperature of one's own available as replacements.temperature_schedule, with
// its options as replacements.temperature_options.NAME. See [RegisterObjective] for name and version.
func RegisterTemperature(name string, version int, temperature TemperatureFunc, options ...Option) {
	temperatures.add(TemperatureEntry{Part{Name: name, Version: version, Options: options}, temperature})
}

// TemperatureAt returns T of the samples of a step.
func (c Config) TemperatureAt(step int) float64 {
	r := c.Replacements
	return temperatures.get(cmp.Or(r.TemperatureSchedule, TemperatureConstant)).Temperature(TemperatureMoment{
		Over: float64(step-1) / float64(c.Training.Steps), Temperature: r.Temperature, Decay: r.TemperatureDecay,
		Option: c.optionsAt("replacements.temperature_options"),
	})
}

// MaskRate returns the part of a row's tokens that is masked in a step, 1 … steps: masking.rate or, with masking.final_rate, what
// falls evenly from the one to the other, which it would reach after the last step.
func (c Config) MaskRate(step int) float64 {
	m := c.Masking
	if m.FinalRate == 0 {
		return m.Rate
	}
	return m.Rate + (m.FinalRate-m.Rate)*float64(step-1)/float64(c.Training.Steps)
}
