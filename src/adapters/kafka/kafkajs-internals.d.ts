declare module "kafkajs/src/network/requestQueue/index.js" {
  interface RequestQueueState {
    readonly pending: readonly unknown[];
    readonly throttledUntil: number;
    throttleCheckTimeoutId: NodeJS.Timeout | null;
    checkPendingRequests(): void;
    scheduleCheckPendingRequests(): void;
  }
  const RequestQueue: { readonly prototype: RequestQueueState };
  export default RequestQueue;
}
