/** Source of randomness, so that jitter can be predicted in tests. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
}
