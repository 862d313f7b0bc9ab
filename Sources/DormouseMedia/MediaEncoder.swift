public import DormouseSupport

/// What kind of content takes the place of tokens.
public enum Modality: String, Sendable, CaseIterable {
  case image
  case video
  case audio
}

/// A picture, clip or sound of a prompt, made ready for its tower: what the prompt says of it and the tower's input are
/// known, the rows are not.
public protocol PreparedMedia: Sendable {
  var modality: Modality { get }
  /// Markup that takes the place of the template's placeholder; `padding` stands in it `rowCount` times.
  func replacement(padding: String) -> String
  /// Rows [rowCount, hidden_size of the text model] that the tower makes of it.
  var rowCount: Int { get }
  /// A hash of all that the rows depend on.
  var contentHash: ContentHash { get }
  /// Bytes that it holds until it is encoded.
  var byteCount: Int { get }
}

/// A tower at work on one item.
public protocol EncodingRun {
  /// Does the next part of the work, about a layer of the tower, so that others can be served in between.
  /// - Returns: whether the rows are complete.
  mutating func advance() throws(Failure) -> Bool
}

/// The first 63 bits of a cryptographic hash: to find other content with the same number takes 2^63 attempts.
public struct ContentHash: Hashable, Sendable {
  public let value: UInt64

  /// - Parameter digest: of at least 8 bytes.
  public init(_ digest: [UInt8]) {
    value = digest.prefix(8).reduce(0) { $0 << 8 | UInt64($1) } >> 1
  }
}

/// The towers of a model, and how its prompts speak of what they encode.
public protocol MediaEncoder: Sendable {
  var modalities: [Modality] { get }

  /// What the model's chat template writes where a part of the modality stands; nil where it takes none.
  func placeholder(of modality: Modality) -> String?

  /// Tokens that may stand for a row in a prompt, the one that the family uses first: the tokenizer may not have it.
  func paddingTokens(of modality: Modality) -> [String]

  /// - Parameter rows: [rowCount, hidden_size]; the caller keeps them until the run is over.
  func begin(
    _ prepared: any PreparedMedia, into rows: UnsafeMutableBufferPointer<Float>
  ) throws(Failure) -> any EncodingRun
}
