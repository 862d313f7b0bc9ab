public import DormouseSupport

/// Turns text into token ids and back, exactly as the published tokenizer of a model does.
///
/// It reads byte-level BPE from `tokenizer.json` (as the `tokenizers` package) or from `tiktoken.model` (as Kimi's own
/// code). Immutable after loading: any thread may use it.
///
/// Input that is not valid UTF-8: each maximal invalid subpart is encoded as U+FFFD, as Python's
/// `bytes.decode(errors="replace")` would hand it to the reference.
///
/// Unicode classes in patterns are those of the PCRE2 that is linked: Unicode 14 with Debian 12's. Characters assigned
/// later count as unassigned there, so the few that the reference calls letters or symbols may give other ids.
public final class Tokenizer: Sendable {
  let parts: TokenizerParts
  /// Where it was read, for sentences.
  private let file: String

  init(parts: TokenizerParts, file: String) {
    self.parts = parts
    self.file = file
  }

  /// One more than the largest token id.
  public var vocabularySize: Int { parts.vocabulary.count }

  /// One more than the largest id of an ordinary token, which any text may hold. Added tokens may have larger ids: some
  /// stand for what the model never sees, such as Kimi-K2.5's placeholder of a video.
  public var ordinaryVocabularySize: Int { parts.ordinaryCount }

  /// From `tokenizer_config.json`, for templates; nil where it names none.
  public var beginningOfSequenceToken: String? { parts.configuration.beginningOfSequence?.content }
  public var endOfSequenceToken: String? { parts.configuration.endOfSequence?.content }
  /// What `add_bos_token` says; nil where the file does not. Beside a `tokenizer.json` it changes nothing here: there
  /// the post-processor decides what `addSpecialTokens` adds, as in transformers 5 (older versions obeyed the flag).
  public var addsBeginningOfSequence: Bool? { parts.configuration.addsBeginningOfSequence }
  public var paddingToken: String? { parts.configuration.padding?.content }

  /// The id of the token that the tokenizer's files call `token`: a control token's text, or an ordinary token in the
  /// byte alphabet of byte-level BPE ("Ġthe").
  public func id(of token: String) -> Int32? { parts.vocabulary.id(ofName: token) }

  /// The bytes that token `id` stands for, which may be part of a character; nil for an id without a token.
  public func bytes(of id: Int32) -> [UInt8]? { parts.vocabulary.withBytes(of: id) { Array($0) } }

  /// Adds them to `output`; nothing for an id without a token.
  func appendBytes(of id: Int32, to output: inout [UInt8]) { _ = parts.vocabulary.withBytes(of: id) { output += $0 } }

  /// The ids of all added tokens, control tokens among them.
  public var addedTokens: Set<Int32> { parts.addedIds }

  /// Whether `id` is a control token that `decode(_:skipSpecial:)` can leave out.
  public func isSpecial(_ id: Int32) -> Bool { parts.specialIds.contains(id) }

  /// Whether the text of a control token lies in `text`.
  public func namesSpecial(in text: [UInt8]) -> Bool {
    parts.specialIds.contains { id in
      parts.vocabulary.withBytes(of: id) { token in
        guard let first = token.first, token.count <= text.count else { return false }
        return (0...text.count - token.count).contains { start in
          text[start] == first && text[start..<start + token.count].elementsEqual(token)
        }
      } ?? false
    }
  }
}

// MARK: - Encoding

extension Tokenizer {
  /// Bytes of a text at most: a text without any place to split costs about forty bytes of memory for each.
  static let textLimit = 64 << 20

  /// The ids of `text`.
  /// - Parameters:
  ///   - text: UTF-8; see the type for what becomes of invalid bytes.
  ///   - parseSpecial: whether added tokens ("<｜User｜>") in the text become their ids. Without it they are ordinary
  ///     text, so that nobody can forge them.
  ///   - addSpecialTokens: whether to add what the tokenizer puts around a text, such as the token that begins it.
  ///   - interruption: asked between short pieces of the work.
  /// - Throws: `Failure(.invalidArgument)` for a text over `textLimit`; `Failure(.malformed)` when a pattern of the tokenizer
  ///   runs away on this text; what `interruption` says.
  public func encode(
    _ text: UnsafeRawBufferPointer, parseSpecial: Bool, addSpecialTokens: Bool, interruption: Interruption = .never
  ) throws(Failure) -> [Int32] {
    try Tokenizer.checkLength(text.count)
    let bytes = UTF8Repair.repaired(text)
    let work = try TextWork(byteCount: bytes.count, interruption: interruption)
    let ids = try encode(PromptText(bytes: bytes, markup: parseSpecial ? [0..<bytes.count] : []), work)
    return addSpecialTokens ? parts.prefix + ids + parts.suffix : ids
  }

  public func encode(
    _ text: [UInt8], parseSpecial: Bool, addSpecialTokens: Bool, interruption: Interruption = .never
  ) throws(Failure) -> [Int32] {
    try text.withUnsafeBufferPointer { (bytes) throws(Failure) in
      try encode(
        UnsafeRawBufferPointer(bytes), parseSpecial: parseSpecial, addSpecialTokens: addSpecialTokens,
        interruption: interruption)
    }
  }

  public func encode(
    _ text: String, parseSpecial: Bool, addSpecialTokens: Bool, interruption: Interruption = .never
  ) throws(Failure) -> [Int32] {
    try encode(
      Array(text.utf8), parseSpecial: parseSpecial, addSpecialTokens: addSpecialTokens, interruption: interruption)
  }

  /// The ids of a rendered prompt, a list for each text before, between and behind its media: one list more than there
  /// are media.
  ///
  /// All runs between two media are one text: words and merges cross their borders as in the reference, which encodes the
  /// whole string. Media are added tokens there, and no word crosses those. Other added tokens are found only where they
  /// lie wholly inside markup, so content can't forge them. Nothing is put around a text: the format has written it.
  ///
  /// - Parameter mediaTokens: the token that stands for each of the chat's media: the white space beside it may be its
  ///   own.
  public func encode(
    _ runs: [PromptRun], mediaTokens: [Int32] = [], interruption: Interruption = .never
  ) throws(Failure) -> [[Int32]] {
    let byteCount = Tokenizer.byteCount(of: runs)
    try Tokenizer.checkLength(byteCount)
    let work = try TextWork(byteCount: byteCount, interruption: interruption)
    var ids: [[Int32]] = []
    var text = PromptText()
    text.bytes.reserveCapacity(byteCount)
    for run in runs {
      switch run {
      case .markup(let string): text.append(string, isMarkup: true)
      case .content(let string): text.append(string, isMarkup: false)
      case .media(let index):
        let token = mediaTokens.indices.contains(index) ? parts.addedToken(mediaTokens[index]) : nil
        text.stripsEnd = token?.stripsLeft ?? false
        ids.append(try encode(text, work))
        text = PromptText(stripsStart: token?.stripsRight ?? false)
      }
    }
    return ids + [try encode(text, work)]
  }

  /// Fewer ids than these `runs` can't have, media aside: by their bytes and the longest token. 0 where they might become
  /// shorter.
  public func leastCount(of runs: [PromptRun]) -> Int {
    guard let most = parts.mostBytesPerId else { return 0 }
    return (Tokenizer.byteCount(of: runs) + most - 1) / most
  }

  private static func byteCount(of runs: [PromptRun]) -> Int { runs.reduce(0) { $0 + $1.text.utf8.count } }

  private func encode(_ text: PromptText, _ work: TextWork) throws(Failure) -> [Int32] {
    let text = text.stripped
    do { return try parts.encode(text.bytes, markup: text.markup, work: work) } catch {
      throw error.status == .malformed ? error.prefixed(file) : error
    }
  }

  private static func checkLength(_ count: Int) throws(Failure) {
    guard count <= textLimit else {
      throw Failure(.invalidArgument, "the text has \(count) bytes, more than the limit of \(textLimit)")
    }
  }
}

/// A text to encode: what stands in a prompt up to its next medium, or up to its end.
private struct PromptText {
  /// Valid UTF-8.
  var bytes: [UInt8] = []
  /// Where added tokens may stand; in order and apart.
  var markup: [Range<Int>] = []
  /// Whether white space at its ends belongs to the media beside it.
  var stripsStart = false
  var stripsEnd = false

  mutating func append(_ text: String, isMarkup: Bool) {
    let start = bytes.count
    bytes += text.utf8
    guard isMarkup, start < bytes.count else { return }
    if let last = markup.last, last.upperBound == start {
      markup[markup.count - 1] = last.lowerBound..<bytes.count
    } else {
      markup.append(start..<bytes.count)
    }
  }

  var stripped: PromptText {
    guard stripsStart || stripsEnd else { return self }
    let kept = WhiteSpace.stripped(bytes, left: stripsStart, right: stripsEnd)
    let markup = markup.map { $0.clamped(to: kept) }.filter { !$0.isEmpty }
    return PromptText(
      bytes: Array(bytes[kept]),
      markup: markup.map { $0.lowerBound - kept.lowerBound..<$0.upperBound - kept.lowerBound })
  }
}

// MARK: - Decoding

extension Tokenizer {
  /// The text of `ids`, always valid UTF-8: each maximal invalid subpart becomes U+FFFD.
  /// - Parameter skipSpecial: whether to leave control tokens out.
  /// - Throws: `Failure(.invalidArgument)` naming an id that no token has.
  public func decode(_ ids: [Int32], skipSpecial: Bool) throws(Failure) -> [UInt8] {
    var bytes: [UInt8] = []
    for (index, id) in ids.enumerated() {
      if skipSpecial, isSpecial(id) { continue }
      guard parts.vocabulary.withBytes(of: id, { bytes += $0 }) != nil else {
        throw Failure(.invalidArgument, "id \(id) at index \(index) is no token; ids are below \(vocabularySize)")
      }
    }
    return bytes.withUnsafeBytes { UTF8Repair.repaired($0) }
  }
}
