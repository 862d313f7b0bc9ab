/// Turns a stream of ids into text without ever splitting a character.
///
/// All that `append` and `finish` return, joined, equals `Tokenizer.decode` of all ids.
public struct TokenStream: Sendable {
  private let tokenizer: Tokenizer
  private let skipsSpecial: Bool
  /// The beginning of a character, at most 3 bytes.
  private var pending: [UInt8] = []

  public init(tokenizer: Tokenizer, skipSpecial: Bool) {
    self.tokenizer = tokenizer
    skipsSpecial = skipSpecial
  }

  /// The text that `id` completes: whole characters, with U+FFFD for each maximal invalid subpart. Nothing for an id
  /// without a token, which a model with a padded output layer may name.
  public mutating func append(_ id: Int32) -> [UInt8] {
    var output: [UInt8] = []
    append(id, to: &output)
    return output
  }

  /// The same, added to `output`: allocates only where `output` has no room left.
  public mutating func append(_ id: Int32, to output: inout [UInt8]) {
    if skipsSpecial, tokenizer.isSpecial(id) { return }
    tokenizer.appendBytes(of: id, to: &pending)
    let used = pending.withUnsafeBytes { UTF8Repair.append($0, to: &output) }
    pending.removeFirst(used)
  }

  /// Ends the stream: U+FFFD for a character that was never completed. The stream can then begin anew.
  public mutating func finish() -> [UInt8] {
    defer { pending.removeAll() }
    return pending.isEmpty ? [] : UTF8Repair.replacement
  }
}
