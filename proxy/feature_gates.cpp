// SPDX-License-Identifier: Apache-2.0
#include "proxy/feature_gates.h"

#include <algorithm>
#include <iterator>

namespace fairlead::proxy {
namespace {

// Sorted. Facts from Kubernetes' page "Feature Gates": those that exist in 1.36.
// clang-format off
constexpr std::string_view kGates[] = {
    "APIResponseCompression", "APIServerIdentity", "APIServerTracing", "APIServingWithRoutine",
    "AllAlpha", "AllBeta", "AllowDNSOnlyNodeCSR", "AllowInsecureKubeletCertificateSigningRequests",
    "AllowParsingUserUIDFromCertAuth", "AllowServiceExternalIPs",
    "AllowUnsafeMalformedObjectDeletion", "AnonymousAuthConfigurableEndpoints",
    "AnyVolumeDataSource", "AtomicFIFO", "AuthorizeNodeWithSelectors",
    "AuthorizePodWebsocketUpgradeCreatePermission", "AuthorizeWithSelectors", "BtreeWatchCache",
    "CBORServingAndStorage", "CPUManagerPolicyAlphaOptions", "CPUManagerPolicyBetaOptions",
    "CPUManagerPolicyOptions", "CRDObservedGenerationTracking", "CRDValidationRatcheting",
    "CRIListStreaming", "CSIServiceAccountTokenSecrets", "CSIVolumeHealth",
    "ChangeContainerStatusOnKubeletRestart", "ClearingNominatedNodeNameAfterBinding",
    "ClientsAllowCBOR", "ClientsPreferCBOR",
    "CloudControllerManagerWatchBasedRoutesReconciliation", "CloudControllerManagerWebhook",
    "ClusterTrustBundle", "ClusterTrustBundleProjection", "ComponentFlagz", "ComponentStatusz",
    "ConcurrentWatchObjectDecode", "ConsistentListFromCache", "ConstrainedImpersonation",
    "ContainerCheckpoint", "ContainerRestartRules", "ContainerStopSignals", "ContextualLogging",
    "ControllerManagerReleaseLeaderElectionLockOnExit", "CoordinatedLeaderElection",
    "CronJobsScheduledAnnotation", "CrossNamespaceVolumeDataSource", "CustomCPUCFSQuotaPeriod",
    "CustomResourceFieldSelectors", "DRAAdminAccess", "DRAConsumableCapacity",
    "DRADeviceBindingConditions", "DRADeviceTaintRules", "DRADeviceTaints", "DRAExtendedResource",
    "DRAListTypeAttributes", "DRANodeAllocatableResources", "DRAPartitionableDevices",
    "DRAPrioritizedList", "DRAResourceClaimDeviceStatus",
    "DRAResourceClaimGranularStatusAuthorization", "DRAResourcePoolStatus",
    "DRASchedulerFilterTimeout", "DRAWorkloadResourceClaims", "DeclarativeValidation",
    "DeclarativeValidationBeta", "DeclarativeValidationTakeover",
    "DeploymentReplicaSetTerminatingReplicas", "DetectCacheInconsistency",
    "DisableAllocatorDualWrite", "DisableCPUQuotaWithExclusiveCPUs", "DisableNodeKubeProxyVersion",
    "DynamicResourceAllocation", "ElasticIndexedJob", "EnvFiles", "EventedPLEG",
    "ExecProbeTimeout", "ExtendWebSocketsToKubelet", "ExternalServiceAccountTokenSigner",
    "GenericWorkload", "GitRepoVolumeDriver", "GracefulNodeShutdown",
    "GracefulNodeShutdownBasedOnPodPriority", "HPAConfigurableTolerance", "HPAScaleToZero",
    "HostnameOverride", "ImageMaximumGCAge", "ImageVolume", "ImageVolumeWithDigest",
    "InOrderInformers", "InOrderInformersBatchProcess", "InPlacePodLevelResourcesVerticalScaling",
    "InPlacePodVerticalScaling", "InPlacePodVerticalScalingAllocatedStatus",
    "InPlacePodVerticalScalingExclusiveCPUs", "InPlacePodVerticalScalingExclusiveMemory",
    "InformerResourceVersion", "JobBackoffLimitPerIndex", "JobManagedBy",
    "JobPodReplacementPolicy", "JobSuccessPolicy", "KMSv1", "KubeletCgroupDriverFromCRI",
    "KubeletCrashLoopBackOffMax", "KubeletEnsureSecretPulledImages", "KubeletFineGrainedAuthz",
    "KubeletInUserNamespace", "KubeletPSI", "KubeletPodResourcesDynamicResources",
    "KubeletPodResourcesGet", "KubeletPodResourcesListUseActivePods", "KubeletSeparateDiskGC",
    "KubeletServiceAccountTokenForCredentialProviders", "KubeletTracing", "ListFromCacheSnapshot",
    "LocalStorageCapacityIsolationFSQuotaMonitoring", "LogarithmicScaleDown",
    "LoggingAlphaOptions", "LoggingBetaOptions", "ManifestBasedAdmissionControlConfig",
    "MatchLabelKeysInPodAffinity", "MatchLabelKeysInPodTopologySpread",
    "MatchLabelKeysInPodTopologySpreadSelectorMerge", "MaxUnavailableStatefulSet", "MemoryManager",
    "MemoryQoS", "MultiCIDRServiceAllocator", "MutableCSINodeAllocatableCount",
    "MutablePVNodeAffinity", "MutablePodResourcesForSuspendedJobs",
    "MutableSchedulingDirectivesForSuspendedJobs", "MutatingAdmissionPolicy", "NFTablesProxyMode",
    "NativeHistograms", "NodeDeclaredFeatures", "NodeInclusionPolicyInPodTopologySpread",
    "NodeLogQuery", "NodeSwap", "NominatedNodeNameForExpectation", "OpenAPIEnums",
    "OpportunisticBatching", "OrderedNamespaceDeletion", "PersistentVolumeClaimUnusedSinceTime",
    "PodAndContainerStatsFromCRI", "PodCertificateRequest", "PodDeletionCost", "PodIndexLabel",
    "PodLevelResourceManagers", "PodLevelResources", "PodLifecycleSleepAction",
    "PodLifecycleSleepActionAllowZero", "PodLogsQuerySplitStreams",
    "PodObservedGenerationTracking", "PodReadyToStartContainersCondition",
    "PodSchedulingReadiness", "PodTopologyLabelsAdmission", "PodsAPI", "PortForwardWebsockets",
    "PreferSameTrafficDistribution", "PreventStaticPodAPIReferences", "ProcMountType",
    "QOSReserved", "RecoverVolumeExpansionFailure", "RecursiveReadOnlyMounts",
    "ReduceDefaultCrashLoopBackOffDecay", "RelaxedDNSSearchValidation",
    "RelaxedEnvironmentVariableValidation", "RelaxedServiceNameValidation",
    "ReloadKubeletServerCertificateFile", "RemoteRequestHeaderUID",
    "ResilientWatchCacheInitialization", "ResourceHealthStatus", "ResourceHealthStatusMessage",
    "RestartAllContainersOnContainerExits", "RetryGenerateName", "RotateKubeletServerCertificate",
    "RuntimeClassInImageCriApi", "SELinuxChangePolicy", "SELinuxMount",
    "SELinuxMountReadWriteOncePod", "SchedulerAsyncAPICalls", "SchedulerAsyncPreemption",
    "SchedulerPopFromBackoffQ", "SchedulerQueueingHints", "SeparateCacheWatchRPC",
    "SeparateTaintEvictionController", "ServiceAccountNodeAudienceRestriction",
    "ServiceAccountTokenJTI", "ServiceAccountTokenNodeBinding",
    "ServiceAccountTokenNodeBindingValidation", "ServiceAccountTokenPodNodeInfo",
    "ServiceTrafficDistribution", "ShardedListAndWatch", "SidecarContainers",
    "SizeBasedListCostEstimate", "StaleControllerConsistencyDaemonSet",
    "StaleControllerConsistencyJob", "StaleControllerConsistencyReplicaSet",
    "StaleControllerConsistencyStatefulSet", "StatefulSetAutoDeletePVC",
    "StatefulSetSemanticRevisionComparison", "StatefulSetStartOrdinal", "StorageCapacityScoring",
    "StorageNamespaceIndex", "StorageVersionAPI", "StorageVersionHash", "StorageVersionMigrator",
    "StreamingCollectionEncodingToJSON", "StreamingCollectionEncodingToProtobuf",
    "StrictCostEnforcementForVAP", "StrictCostEnforcementForWebhooks", "StrictIPCIDRValidation",
    "StructuredAuthenticationConfiguration", "StructuredAuthenticationConfigurationEgressSelector",
    "StructuredAuthenticationConfigurationJWKSMetrics", "StructuredAuthorizationConfiguration",
    "SupplementalGroupsPolicy", "SystemdWatchdog", "TaintTolerationComparisonOperators",
    "TokenRequestServiceAccountUIDValidation", "TopologyAwareHints",
    "TopologyAwareWorkloadScheduling", "TopologyManagerPolicyAlphaOptions",
    "TopologyManagerPolicyBetaOptions", "TopologyManagerPolicyOptions",
    "TranslateStreamCloseWebsocketRequests", "UnauthenticatedHTTP2DOSMitigation",
    "UnknownVersionInteroperabilityProxy", "UnlockWhileProcessingFIFO",
    "UserNamespacesHostNetworkSupport", "UserNamespacesSupport", "VolumeAttributesClass",
    "VolumeLimitScaling", "WatchCacheInitializationPostStartHook",
    "WatchFromStorageWithoutResourceVersion", "WatchList", "WatchListClient", "WinDSR",
    "WinOverlay", "WindowsCPUAndMemoryAffinity", "WindowsGracefulNodeShutdown",
    "WindowsHostNetwork", "WorkloadWithJob",
};

// Sorted. Those that kube-proxy or Services had in 1.27 or later and that 1.36 has no more.
constexpr std::string_view kRetired[] = {
    "AllowServiceLBStatusOnNonLB", "CloudDualStackNodeIPs", "DisableCloudProviders",
    "DisableKubeletCloudCredentialProviders",
    "EndpointSliceTerminatingCondition", "ExpandedDNSConfig", "IPTablesOwnershipCleanup",
    "KubeProxyDrainingTerminatingNodes", "LoadBalancerIPMode", "MinimizeIPTablesRestore",
    "MixedProtocolLBService", "NetworkPolicyStatus", "ProxyTerminatingEndpoints",
    "ServiceIPStaticSubrange", "ServiceInternalTrafficPolicy", "ServiceNodePortStaticSubrange",
    "SkipReadOnlyValidationGCE",
};
// clang-format on

}  // namespace

bool is_retired_gate(std::string_view name) {
  return std::binary_search(std::begin(kRetired), std::end(kRetired), name);
}

bool is_known_gate(std::string_view name) {
  return std::binary_search(std::begin(kGates), std::end(kGates), name);
}

bool external_ips_enabled(const std::map<std::string, bool>& gates) {
  const auto gate = gates.find("AllowServiceExternalIPs");
  return gate == gates.end() || gate->second;
}

}  // namespace fairlead::proxy
