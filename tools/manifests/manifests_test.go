// SPDX-License-Identifier: Apache-2.0

// Package manifests reads with the types of Kubernetes what the command writes for it. It is in the module of the tools so that
// no program links them.
package manifests

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// The Indexed Job of metro ablate submit has no field that Kubernetes does not know, and tells diverged from preempted.
func TestManifestOfAStudy(t *testing.T) {
	text, err := os.ReadFile("../../metro/cli/testdata/kubernetes.yaml")
	require.NoError(t, err)
	var job batch.Job
	require.NoError(t, yaml.UnmarshalStrict(text, &job))
	require.Equal(t, "batch/v1", job.APIVersion)
	require.Equal(t, "Job", job.Kind)

	spec := job.Spec
	require.Equal(t, batch.IndexedCompletion, *spec.CompletionMode)
	require.EqualValues(t, 4, *spec.Completions, "two arms at two seeds")
	require.EqualValues(t, 4, *spec.Parallelism)
	require.EqualValues(t, 3, *spec.BackoffLimitPerIndex)
	require.Nil(t, spec.BackoffLimit)
	pod := spec.Template.Spec
	require.Equal(t, core.RestartPolicyNever, pod.RestartPolicy, "a policy for failed pods asks for it")
	require.Len(t, pod.Containers, 1)

	actions := map[int32]batch.PodFailurePolicyAction{}
	for _, rule := range spec.PodFailurePolicy.Rules {
		if rule.OnExitCodes == nil {
			require.Equal(t, batch.PodFailurePolicyActionIgnore, rule.Action)
			require.Equal(t, core.DisruptionTarget, rule.OnPodConditions[0].Type)
			require.Equal(t, core.ConditionTrue, rule.OnPodConditions[0].Status)
			continue
		}
		require.Equal(t, pod.Containers[0].Name, *rule.OnExitCodes.ContainerName)
		require.Equal(t, batch.PodFailurePolicyOnExitCodesOpIn, rule.OnExitCodes.Operator)
		for _, code := range rule.OnExitCodes.Values {
			actions[code] = rule.Action
		}
	}
	require.Equal(t, map[int32]batch.PodFailurePolicyAction{
		2: batch.PodFailurePolicyActionFailJob, 3: batch.PodFailurePolicyActionFailIndex, 75: batch.PodFailurePolicyActionIgnore,
	}, actions)
	require.Equal(t, pod.Containers[0].VolumeMounts[0].Name, pod.Volumes[0].Name)
	require.Equal(t, "shared", pod.Volumes[0].PersistentVolumeClaim.ClaimName)
	require.Equal(t, "8Gi", pod.Containers[0].Resources.Requests.Memory().String())
}
