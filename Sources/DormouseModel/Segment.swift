public import DormouseCache
public import DormouseSupport

/// Which logits a segment wants.
public enum LogitsRequest {
  /// None: the head is not computed.
  case none
  /// Those after the last token: [vocabulary].
  case last(into: UnsafeMutableBufferPointer<Float>)
  /// Those after every token: [tokens, vocabulary].
  case all(into: UnsafeMutableBufferPointer<Float>)
}

/// Whose hidden states after the final norm a segment wants, and where they go: [hidden], to which each is added.
public enum StateRequest {
  /// The last token's.
  case last(addedTo: UnsafeMutableBufferPointer<Double>)
  /// Every token's.
  case all(addedTo: UnsafeMutableBufferPointer<Double>)

  var target: UnsafeMutableBufferPointer<Double> {
    switch self {
    case .last(let target), .all(let target): target
    }
  }
}

/// Rows that take the place of embeddings of tokens: what a tower has made of an image, video or audio.
public struct EmbeddedRows: @unchecked Sendable {
  /// Of the timeline.
  public var positions: Range<Int>
  /// [firstRow + positions, hidden] in float32; the caller keeps them.
  public var rows: UnsafePointer<Float>
  /// The row of the first position.
  public var firstRow: Int

  public init(positions: Range<Int>, rows: UnsafePointer<Float>, firstRow: Int = 0) {
    self.positions = positions
    self.rows = rows
    self.firstRow = firstRow
  }
}

/// One timeline's part of a batch: new tokens behind those that its cache holds.
public struct Segment {
  /// Has room reserved for the tokens; their rows are stored, and it is for the caller to count them with `advance`.
  public var cache: LatentCache
  public var tokens: ArraySlice<Int32>
  /// In the order of their positions, those of other parts of the timeline too: a token in their midst stands for
  /// nothing but its position.
  public var embeddedRows: [EmbeddedRows]
  public var logits: LogitsRequest
  /// Nil for none.
  public var states: StateRequest?
  public var form: AttentionForm

  public init(
    cache: LatentCache, tokens: ArraySlice<Int32>, embeddedRows: [EmbeddedRows] = [], logits: LogitsRequest,
    states: StateRequest? = nil, form: AttentionForm = .automatic
  ) {
    self.cache = cache
    self.tokens = tokens
    self.embeddedRows = embeddedRows
    self.logits = logits
    self.states = states
    self.form = form
  }
}

/// What became of a segment.
public enum SegmentOutcome: Sendable {
  case done
  /// It was taken out between two layers.
  case cancelled
  /// `.invalidArgument` for a token outside the vocabulary, no tokens, or too small a buffer; `.numerical` for logits
  /// or states that are not finite; why experts that the batch needs can't be had.
  case failed(Failure)
}

/// A segment that is being computed.
struct ActiveSegment {
  /// Its place in the batch.
  let index: Int
  let cache: LatentCache
  /// Its tokens' rows in the scratch memory.
  var rows: Range<Int>
  /// Their ids.
  let tokens: ArraySlice<Int32>
  /// The position of the first.
  let first: Int
  let form: AttentionForm
}
