public import DormouseSupport

/// What kind of content takes the place of tokens.
public enum Modality: String, Sendable, CaseIterable {
  case image
  case video
  case audio
}

/// The towers of a model, and how its prompts speak of what they encode. Thread: any.
public protocol MediaEncoder: Sendable {
  /// What the model's chat template writes where an item of the modality stands; nil where it takes none.
  func placeholder(of modality: Modality) -> String?

  /// Tokens that may stand for a row in a prompt, the one that the family uses first: a tokenizer may not have it.
  func paddingTokens(of modality: Modality) -> [String]

  /// Makes an item ready, on the calling thread. One for which the terms have no room is refused as early as its length
  /// or size is known.
  /// - Throws: `Failure(.invalidArgument)` for one that the model does not take, `.unsupported` for a modality or beyond
  ///   a limit, `.contextFull` for too many rows, and what interrupts it.
  func prepare(_ item: MediaItem, _ terms: MediaTerms) throws(Failure) -> any PreparedMedia

  /// Begins to encode.
  ///
  /// - Parameters:
  ///   - rows: [rowCount, hidden_size]; the caller keeps them until the run is over.
  ///   - interruption: asked while the run makes portions ready.
  /// - Throws: `Failure(.outOfMemory)`, and what interrupts it.
  func begin(
    _ prepared: any PreparedMedia, into rows: UnsafeMutableBufferPointer<Float>, _ interruption: Interruption
  ) throws(Failure) -> any EncodingRun
}

/// An image, video or audio of a prompt, made ready for its tower: what the prompt says of it and the tower's input are
/// known, the rows are not.
public protocol PreparedMedia: Sendable {
  var modality: Modality { get }
  /// Rows [rowCount, hidden_size of the text model] that the tower makes of it.
  var rowCount: Int { get }
  /// A hash of all that the rows depend on but for the model.
  var contentHash: ContentHash { get }
  /// Bytes that it holds until it is encoded.
  var byteCount: Int { get }
  /// Bytes that the tower will work in.
  var scratchByteCount: Int { get }
  /// What a prompt says in its place: `rowCount` rows, and perhaps markup around them.
  var promptPieces: [MediaPromptPiece] { get }
}

extension PreparedMedia {
  /// Its rows alone: for those of which the chat template writes what stands around them.
  public var promptPieces: [MediaPromptPiece] { [.rows(rowCount)] }
}

/// A piece of what a prompt says in the place of an image, video or audio.
public enum MediaPromptPiece: Sendable, Equatable {
  case markup(String)
  /// The next rows, so many; each is a position.
  case rows(Int)
}

/// A tower at work on one item, portion by portion.
public protocol EncodingRun {
  /// Makes the next portion ready, on the thread of whoever wants the rows.
  /// - Returns: false when all rows are there.
  mutating func prepareNext() throws(Failure) -> Bool

  /// Does the next part of a portion, about a layer of the tower, so that others can be served in between.
  /// - Returns: whether the portion is done.
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
