// SPDX-License-Identifier: Apache-2.0

package viz

import "testing"

func BenchmarkCurves(b *testing.B) {
	c := demoCurves(longNames...)
	for b.Loop() {
		f, err := c.Figure()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(f.PNG)), "PNG-bytes")
	}
}
