// SPDX-License-Identifier: Apache-2.0

package viz

import "strconv"

// OverSteps are curves of a metric over the steps of training: name is its key, label what it is called.
func OverSteps(name, label string, series ...Series) Curves {
	return Curves{Name: name, Title: label, X: Steps, Y: Axis{Label: label}, Series: series}
}

// GradientNorms are curves of the global gradient norm before clipping, on a logarithmic axis, with a level at the norm
// that gradients are clipped to (0 for none).
func GradientNorms(x Axis, clip float64, series ...Series) Curves {
	c := Curves{Name: "gradient_norms", Title: "Gradient norm", X: x, Y: Axis{Label: "norm of the gradient before clipping"}.OnLogScale(),
		Series: series}
	if clip != 0 {
		c.Levels = []Level{{clip, "clipped to " + strconv.FormatFloat(clip, 'g', -1, 64)}}
	}
	return c
}

// LossSpikes are curves of the training loss, every step or nearly so, with its spikes marked and counted.
func LossSpikes(x Axis, series ...Series) Curves {
	return Curves{Name: "loss_spikes", Title: "Loss and its spikes", X: x, Y: Axis{Label: "training loss"}, Series: series, Spikes: true}
}

// TieCosine are curves of the cosine between what the generator and the main model ask of the embeddings they share (their
// two gradients), or between the two tables where they do not share them. At 0 the two have nothing in common, and at 1
// they agree.
func TieCosine(x Axis, series ...Series) Curves {
	return Curves{Name: "tie_cosine", Title: "Do generator and main model agree on the embeddings?", X: x,
		Y: Axis{Label: "cosine between generator and main model"}, Series: series, Levels: []Level{{0, "nothing in common"}}}
}

// BiasProfile are the relative-position biases of each head, heads[h][i] at the signed distance distances[i] (position
// of the key − position of the query, growing), one line a head.
func BiasProfile(distances []float64, heads [][]float64) Curves {
	c := Curves{Name: "bias_profile", Title: "Relative-position bias by head", X: Axis{Label: "distance of the key from the query, in tokens"},
		Y: Axis{Label: "bias added to the attention logit"}, Levels: []Level{{0, ""}}, Each: "head"}
	for h, bias := range heads {
		c.Series = append(c.Series, Series{Name: headName(h), Runs: []Line{{X: distances, Y: bias}}})
	}
	return c
}

func headName(h int) string { return "head " + strconv.Itoa(h+1) }

// BiasMap is the table of relative-position biases, heads[h][b] in bucket b, with the buckets' names: signed, zero in the
// middle of the colors.
func BiasMap(buckets []string, heads [][]float64) Heatmap {
	m := Heatmap{Name: "bias_map", Title: "Relative-position bias by head and bucket", Label: "bias added to the attention logit",
		ColumnLabel: "bucket: distance of the key from the query, in tokens", Columns: buckets, Signed: true, Panels: []Panel{{Values: heads}}}
	for h := range heads {
		m.Rows = append(m.Rows, headName(h))
	}
	return m
}

// AttentionMap are the attention weights of some heads over one text of S tokens: heads[h][q][k], S × S each, is the
// weight that query q gives key k.
func AttentionMap(tokens []string, heads ...[][]float64) Heatmap {
	m := Heatmap{Name: "attention", Title: "Where each token looks", Label: "attention weight", RowLabel: "query", ColumnLabel: "key",
		Rows: tokens, Columns: tokens}
	for h, weights := range heads {
		m.Panels = append(m.Panels, Panel{headName(h), weights})
	}
	return m
}
