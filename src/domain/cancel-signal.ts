/**
 * The part of the platform's `AbortSignal` the domain relies on. Any `AbortSignal` fits, and the
 * domain still compiles without Node or DOM types.
 */
export interface CancelSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: "abort", listener: () => void, options?: { readonly once?: boolean }): void;
  removeEventListener(type: "abort", listener: () => void): void;
}
