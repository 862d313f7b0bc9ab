import DormouseGrammar
import DormouseSupport

/// Input: one byte that chooses the kind (JSON schema, in one form or the other, regular expression, texts, grammar), one
/// byte that begins the choice of tokens, and the text of the form.
///
/// What is accepted must allow only tokens that it then takes, take none that it does not allow, come back to where it was
/// when they are taken back, and never leave a text that can neither go on nor end. Whatever comes in, the work ends soon
/// after its caller does not want it any more.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzConstraint(_ data: UnsafePointer<UInt8>, _ size: Int) -> Int32 {
  guard size > 2, let vocabulary else { return 0 }
  let input = UnsafeBufferPointer(start: data, count: size)
  let deadline = Clock.now() + 1
  let interruption = Interruption { Clock.now() < deadline ? nil : Failure(.timedOut, "the time is over") }
  do throws(Failure) {
    let fields = try JSONFields(
      .object(try configuration(input[0], UnsafeBufferPointer(rebasing: input[2...]))), file: "config_json", path: "",
      status: .invalidArgument)
    let constraint = try Constraint(
      fields, vocabulary: vocabulary, endTokens: [endToken], interruption: interruption)
    try walk(constraint, start: Int32(input[1]))
  } catch { checkSentence(error) }
  // Instrumented code on a machine that others use takes many times what it takes elsewhere.
  precondition(Clock.now() < deadline + 8, "the work went on for \(Clock.now() - deadline) s")
  return 0
}

/// Every byte, and tokens that cross the borders of JSON's symbols; the last is no text.
private let tokens: [[UInt8]] =
  (0..<256).map { [UInt8($0)] }
  + ["\"", "\":", "\",\"", "{\"", "}}", "]]", "],[", "true", "null", "12", "aa", "ab", "€", "\\u00", "e1"]
  .map { Array($0.utf8) } + [[]]
private let endToken = Int32(tokens.count - 1)
private let vocabulary = try? GrammarVocabulary(tokens)

private func configuration(_ kind: UInt8, _ text: UnsafeBufferPointer<UInt8>) throws(Failure) -> JSONObject {
  let string = String(decoding: text, as: UTF8.self)
  switch kind % 5 {
  case 0: return JSONObject(["json_schema": try schema(string)])
  case 1: return JSONObject(["json_schema": try schema(string), "form": "any"])
  case 2: return JSONObject(["regex": .string(string)])
  case 3: return JSONObject(["choice": .array(string.split(separator: "\n").map { .string(String($0)) })])
  default: return JSONObject(["grammar": .string(string)])
  }
}

private func schema(_ text: String) throws(Failure) -> JSON {
  try JSON.parse(argument: text, name: "config_json", limits: JSON.Limits())
}

private func walk(_ constraint: Constraint, start: Int32) throws(Failure) {
  let count = Int32(tokens.count)
  var state = start
  for _ in 0..<40 {
    let allowed = try constraint.allowed()
    precondition(constraint.hasEnded || !allowed.isEmpty, "a text can neither go on nor end")
    if constraint.hasEnded { return }
    precondition(allowed.contains(endToken) == constraint.isComplete)
    // Any token, which is taken if and only if it is allowed, and taken back.
    state = (state * 31 + 17) % count
    let isTaken = try take(state, constraint)
    precondition(isTaken == allowed.contains(state), "token \(state) is allowed, or not, and the other when it comes")
    if isTaken { try constraint.rewind(1) }
    let again = try constraint.allowed()
    precondition(again == allowed, "what is taken back leaves its traces")
    // And an allowed one, the next behind the last choice.
    let order = (0..<count).lazy.map { (state + $0) % count }
    guard let next = order.first(where: { allowed.contains($0) }) else { return }
    try constraint.accept([next])
  }
}

private func take(_ token: Int32, _ constraint: Constraint) throws(Failure) -> Bool {
  do throws(Failure) { try constraint.accept([token]) } catch {
    guard error.status == .invalidArgument else { throw error }
    return false
  }
  return true
}

/// The sentence must say something, and must not hold control characters that the caller chose.
private func checkSentence(_ failure: Failure) {
  precondition([.invalidArgument, .unsupported, .timedOut].contains(failure.status), failure.message)
  precondition(failure.message.utf8.count > 10 && !failure.message.utf8.contains { $0 < 0x20 }, failure.message)
}
