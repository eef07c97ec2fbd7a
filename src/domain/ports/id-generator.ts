/** Makes identifiers that nobody else makes (UUID version 4 in production). */
export interface IdGenerator {
  next(): string;
}
