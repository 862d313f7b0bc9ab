/// The sentence of what `body` throws.
func failureMessage(_ body: () throws -> Void) -> String {
  do { try body() } catch { return "\(error)" }
  return "no failure"
}
