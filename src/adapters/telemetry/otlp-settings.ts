/** Where a collector that speaks OTLP is. */
export interface OtlpSettings {
  /** Complete URL; undefined: that of the environment, or OpenTelemetry's own default. `http:` is plaintext. */
  readonly url: string | undefined;
  readonly compress: boolean;
  readonly headers: Readonly<Record<string, string>>;
}
