import DormouseSupport
import DormouseText

/// Input: one byte that chooses the format, the bytes of a `tokenizer.json` or `tiktoken.model`, and after a byte 0 a
/// text to encode.
///
/// What is accepted must encode the text to ids of the vocabulary, and the stream must give what `decode` gives.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzTokenizer(_ data: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
  guard size > 1 else { return 0 }
  let input = UnsafeBufferPointer(start: data, count: size)
  let parts = input[1...].split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
  let file = Array(parts[0])
  let text = parts.count > 1 ? Array(parts[1]) : []
  do throws(Failure) {
    let configuration: JSON = ["bos_token": "<s>", "added_tokens_decoder": ["300": ["content": "<x>"]]]
    let isRanks = input[0] & 1 == 1
    let tokenizer =
      isRanks
      ? try Tokenizer(tiktoken: file, configuration: configuration, file: "tiktoken.model")
      : try Tokenizer(json: file, configuration: nil, file: "tokenizer.json")
    for parseSpecial in [true, false] {
      checkRoundTrip(try tokenizer.encode(text, parseSpecial: parseSpecial, addSpecialTokens: true), tokenizer)
    }
    let string = String(decoding: text, as: UTF8.self)
    for ids in try tokenizer.encode([.markup(string), .content(string), .media(0), .markup(string)]) {
      checkRoundTrip(ids, tokenizer)
    }
  } catch { checkSentence(error) }
  return 0
}

private func checkRoundTrip(_ ids: [Int32], _ tokenizer: Tokenizer) {
  precondition(ids.allSatisfy { $0 >= 0 && Int($0) < tokenizer.vocabularySize && tokenizer.bytes(of: $0) != nil })
  for skipSpecial in [true, false] {
    var stream = TokenStream(tokenizer: tokenizer, skipSpecial: skipSpecial)
    var streamed = ids.flatMap { stream.append($0) }
    streamed += stream.finish()
    do throws(Failure) {
      let decoded = try tokenizer.decode(ids, skipSpecial: skipSpecial)
      precondition(decoded == streamed)
    } catch { preconditionFailure(error.message) }
  }
}

/// The sentence must say something, and must not hold control characters that the file chose.
private func checkSentence(_ failure: Failure) {
  precondition([.malformed, .unsupported].contains(failure.status) && failure.message.utf8.count > 10, failure.message)
  precondition(!failure.message.utf8.contains { $0 < 0x20 }, failure.message)
}
