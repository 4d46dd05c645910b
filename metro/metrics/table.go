// SPDX-License-Identifier: Apache-2.0

package metrics

const ratio = "%.4f" // for losses, and for parts of a whole

// table has a row for each metric that ships, in the order in which people look at them. The same metric on held-out
// text has a row of its own only where that is another thing to say.
var table = []Metric{
	{Key: "frozen_auc_unigram", Label: "RTD AUC on the frozen set", Format: ratio, Better: HigherIsBetter, Chance: 0.5,
		Meaning: "how well the main model tells random fakes, drawn by their frequency, from original tokens, on a set that is the same for every run with this tokenizer and length of rows; 0.5 = chance"},
	{Key: "frozen_auc_bigram", Label: "RTD AUC on the frozen set of plausible fakes", Format: ratio, Better: HigherIsBetter, Chance: 0.5,
		Meaning: "how well the main model tells plausible fakes, which go well with both neighbours, from original tokens, on a set that is the same for every run with this tokenizer and length of rows; 0.5 = chance"},
	{Key: "frozen_auc_trigram", Label: "RTD AUC on the frozen set of a trigram generator", Format: ratio, Better: HigherIsBetter, Chance: 0.5,
		Meaning: "how well the main model tells the fakes of a fixed reference generator, which counts what stands beside two tokens on either side, from original tokens, on a set that is the same for every run with this tokenizer and length of rows; 0.5 = chance"},
	{Key: "frozen_auc_words", Label: "RTD AUC on the frozen words", Format: ratio, Better: HigherIsBetter, Chance: 0.5,
		Meaning: "how well the main model tells random words, drawn by their frequency, from original ones, by the highest score of a word's tokens, in a text that is the same for every tokenizer and length of rows; 0.5 = chance"},

	{Key: "loss", Label: "loss", Format: ratio, Better: LowerIsBetter, Meaning: "sum of the objective's losses by their weights, nats"},
	{Key: "generator_loss", Label: "generator loss", Format: ratio, Better: LowerIsBetter,
		Meaning: "cross-entropy of the generator at masked positions, nats"},
	{Key: "rtd_loss", Label: "RTD loss", Format: ratio, Better: LowerIsBetter,
		Meaning: "cross-entropy of the main model telling replaced from original tokens, nats"},
	{Key: "clm_loss", Label: "CLM loss", Format: ratio, Better: LowerIsBetter,
		Meaning: "loss of the main model's corrections at masked positions, nats"},
	{Key: "lm_loss", Label: "LM loss", Format: ratio, Better: LowerIsBetter,
		Meaning: "cross-entropy of the main model's language modelling, nats"},
	{Key: "scl_loss", Label: "SCL loss", Format: ratio, Better: LowerIsBetter,
		Meaning: "contrastive loss of the main model's vectors of sequences, nats"},

	{Key: "rtd_auc", Label: "RTD AUC", Format: ratio, Better: HigherIsBetter, Chance: 0.5,
		Meaning: "how well the main model tells the fakes of the run's own generator from originals; 0.5 = chance"},
	{Key: "val_rtd_auc", Label: "RTD AUC against the run's own generator", Format: ratio, Better: HigherIsBetter, Chance: 0.5,
		Meaning: "how well the main model tells the fakes of the run's own generator from originals, on the validation split; 0.5 = chance"},
	{Key: "rtd_precision", Label: "RTD precision", Format: ratio, Better: HigherIsBetter,
		Meaning: "part of the tokens called replaced that are"},
	{Key: "rtd_recall_replaced", Label: "RTD recall of replaced tokens", Format: ratio, Better: HigherIsBetter,
		Meaning: "part of the replaced tokens that are called so"},
	{Key: "rtd_recall_original", Label: "RTD recall of original tokens", Format: ratio, Better: HigherIsBetter,
		Meaning: "part of the original tokens that are called so"},

	{Key: "clm_accuracy_replaced", Label: "CLM accuracy at replaced positions", Format: ratio, Better: HigherIsBetter,
		Meaning: "how often the main model's first choice at a replaced token is the original"},
	{Key: "clm_accuracy_unchanged", Label: "CLM accuracy at unchanged positions", Format: ratio, Better: HigherIsBetter,
		Meaning: "how often the main model's first choice at a masked position that was not replaced is the original"},
	{Key: "lm_accuracy", Label: "LM accuracy", Format: ratio, Better: HigherIsBetter,
		Meaning: "how often the main model's first choice at a masked position is the original"},
	{Key: "lm_accuracy_replaced", Label: "LM accuracy at replaced positions", Format: ratio, Better: HigherIsBetter,
		Meaning: "how often the main model's first choice at a replaced token is the original"},
	{Key: "lm_accuracy_unchanged", Label: "LM accuracy at unchanged positions", Format: ratio, Better: HigherIsBetter,
		Meaning: "how often the main model's first choice at a masked position that was not replaced is the original"},

	{Key: "generator_accuracy", Label: "generator accuracy", Format: ratio, Better: HigherIsBetter,
		Meaning: "how often the generator's first choice at a masked position is the original"},
	{Key: "generator_entropy", Label: "generator entropy", Format: ratio, Meaning: "mean entropy of the generator at masked positions, nats"},
	{Key: "replaced_fraction", Label: "replaced", Format: ratio, Meaning: "part of the real tokens that were replaced"},
	{Key: "tie_cosine", Label: "cosine of the embeddings", Format: ratio,
		Meaning: "mean cosine between a token's embeddings in the generator and in the main model"},

	{Key: "accuracy", Label: "accuracy", Format: ratio, Better: HigherIsBetter, Meaning: "part of the training texts whose class is right"},
	{Key: "test_accuracy", Label: "accuracy on test texts", Format: ratio, Better: HigherIsBetter,
		Meaning: "part of the test texts whose class is right"},
	{Key: "test_balanced_accuracy", Label: "balanced accuracy on test texts", Format: ratio, Better: HigherIsBetter,
		Meaning: "mean over the classes of the part of their test texts that is right"},
	{Key: "test_bag_of_words_balanced_accuracy", Label: "balanced accuracy of a bag of words", Format: ratio, Better: HigherIsBetter,
		Meaning: "what a logistic regression on the words of the same texts reaches"},
	{Key: "test_majority_balanced_accuracy", Label: "balanced accuracy of the largest class", Format: ratio, Better: HigherIsBetter,
		Meaning: "what always saying the class with the most training texts reaches"},

	{Key: "test_f1", Label: "F1 on test texts", Format: ratio, Better: HigherIsBetter, Meaning: "harmonic mean of precision and recall, of the positive class"},
	{Key: "test_macro_f1", Label: "macro F1 on test texts", Format: ratio, Better: HigherIsBetter, Meaning: "mean over the classes of each one's F1"},
	{Key: "test_matthews", Label: "Matthews correlation on test texts", Format: ratio, Better: HigherIsBetter,
		Meaning: "correlation of true and predicted classes; 0 = chance"},
	{Key: "test_pearson", Label: "Pearson correlation on test texts", Format: ratio, Better: HigherIsBetter, Meaning: "correlation of true and predicted numbers"},
	{Key: "test_spearman", Label: "Spearman correlation on test texts", Format: ratio, Better: HigherIsBetter, Meaning: "correlation of the ranks of true and predicted numbers"},
	{Key: "test_mse", Label: "mean squared error on test texts", Format: "%.4g", Better: LowerIsBetter, Meaning: "of the predicted numbers"},
	{Key: "test_entity_f1", Label: "entity F1 on test texts", Format: ratio, Better: HigherIsBetter,
		Meaning: "harmonic mean of precision and recall, of whole entities: their words and their kinds"},
	{Key: "test_exact_match", Label: "exact match on test texts", Format: ratio, Better: HigherIsBetter, Meaning: "part of the questions whose answer is right as a whole"},
	{Key: "test_span_f1", Label: "F1 of answers on test texts", Format: ratio, Better: HigherIsBetter,
		Meaning: "how many words predicted and true answers have in common, by SQuAD's rules"},

	{Key: "gradient_norm", Label: "gradient norm", Format: "%.4g", Meaning: "mean norm of the gradients before clipping"},
	{Key: "learning_rate", Label: "learning rate", Format: "%.3g", Meaning: "of the main model, at that step"},
	{Key: "tokens", Label: "tokens", Format: "%.0f", Meaning: "real tokens trained on so far"},

	{Key: "seconds", Label: "seconds", Format: "%.1f", Timing: true, Meaning: "wall time so far, of all attempts"},
	{Key: "tokens_per_second", Label: "tokens/s", Format: "%.0f", Better: HigherIsBetter, Timing: true,
		Meaning: "real tokens a second of training, without evaluation"},
	{Key: "loader_wait_seconds", Label: "seconds of waiting for data", Format: "%.2f", Better: LowerIsBetter, Timing: true,
		Meaning: "time since the last record in which training waited for batches"},
}
