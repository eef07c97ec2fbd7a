/** What the kit uses of a test runner's `expect`; Jest's and Vitest's fit. */
export interface KitMatchers {
  toBe(expected: unknown): void;
  toEqual(expected: unknown): void;
  toMatchObject(expected: object): void;
  toContain(expected: unknown): void;
  toBeGreaterThanOrEqual(expected: number): void;
  toBeLessThanOrEqual(expected: number): void;
}

/** `message` is shown by runners that can; others ignore it. */
export type KitExpect = (actual: unknown) => KitMatchers;

type RegisterTest = (title: string, run: () => Promise<void>, timeoutMs?: number) => unknown;

/** What the kit uses of a test runner's `test`. */
export interface KitTest {
  (title: string, run: () => Promise<void>, timeoutMs?: number): unknown;
  readonly skip: RegisterTest;
}

/** The runner the scenarios become tests of. */
export interface KitRunner {
  readonly test: KitTest;
  readonly expect: KitExpect;
}
