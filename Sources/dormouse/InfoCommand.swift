import ArgumentParser
import DormouseClient

struct InfoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "Shows what a model is and what memory it takes.",
    discussion: "No weights are read. With --json, one object: the library's document, with the plan as 'plan'.")

  @OptionGroup var model: ModelOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let engine = try model.open(withoutWeights: true)
    let info = try engine.info()
    let plan = try engine.plan(model.session)
    if output.json { return try Console.write(line: InfoCommand.joined(info.text, plan.text)) }
    try Console.write(line: InfoCommand.table(info, plan, page: page(engine, info)).text)
  }

  /// A page of the cache: what a session of one token takes.
  private func page(_ engine: OpenEngine, _ info: LibraryDocument) throws -> String? {
    var settings = model.session
    settings.contextLength = 1
    let plan = try engine.plan(settings)
    let type = model.cache?.rawValue ?? info["cache", "default_type"]?.string ?? ""
    let row = info["cache", "bytes_per_token", type]?.integer
    guard let page = plan["cache"]?.integer, let row, row > 0 else { return nil }
    return "pages of \(page / row) tokens, \(Units.bytes(page))"
  }

  /// The first document with the second as its member `plan`.
  private static func joined(_ info: String, _ plan: String) -> String {
    guard let end = info.lastIndex(of: "}") else { return info }
    return info[..<end] + #","plan":\#(plan)}"#
  }

  private static func table(_ info: LibraryDocument, _ plan: LibraryDocument, page: String?) -> Table {
    var table = Table()
    table.add("architecture", info["model_type"]?.string)
    table.add("parameters", parameters(info))
    table.add("towers", towers(info))
    table.add("layers", info["layers"]?.integer.map(Units.grouped))
    table.add("experts", experts(info))
    table.add("weights", weights(info))
    table.add("modalities", info["modalities"]?.strings?.joined(separator: ", "))
    table.add("vocabulary", info["vocabulary_size"]?.integer.map { "\(Units.grouped($0)) tokens" })
    table.add("context", info["context_length"]?.integer.map { "\(Units.grouped($0)) tokens" })
    table.add("text", text(info))
    table.add("cache", cache(info))
    table.add("instruction set", info["instruction_set"]?.string)
    table.add("threads", info["threads"]?.integer.map { "\($0)" })
    table.add("memory plan", plan["total"]?.integer.map { "\(Units.bytes($0)) in all" })
    table.add("  weights", plan["weights"]?.integer.map(Units.bytes))
    if let towers = plan["towers"]?.integer, towers > 0 { table.add("  towers", Units.bytes(towers)) }
    table.add("  cache", plan["cache"]?.integer.map { Units.bytes($0) + (page.map { ", in \($0)" } ?? "") })
    table.add("  working memory", plan["working_memory"]?.integer.map(Units.bytes))
    table.add("  prefix cache", plan["prefix_cache"]?.integer.map { "\(Units.bytes($0)) for later sessions" })
    return table
  }

  private static func parameters(_ info: LibraryDocument) -> String? {
    guard let total = info["parameters", "total"]?.integer else { return nil }
    let active = info["parameters", "active"]?.integer.map { ", \(Units.count(Double($0))) active for each token" }
    return Units.count(Double(total)) + (active ?? "")
  }

  private static func towers(_ info: LibraryDocument) -> String? {
    let lines = info["towers"]?.elements?.compactMap { tower -> String? in
      guard let total = tower["parameters"]?["total"]?.integer else { return nil }
      let modalities = tower["modalities"]?.strings?.joined(separator: " and ") ?? ""
      return "\(Units.count(Double(total))) parameters for \(modalities)"
    }
    guard let lines, !lines.isEmpty else { return nil }
    return lines.joined(separator: ", ")
  }

  private static func experts(_ info: LibraryDocument) -> String? {
    guard let routed = info["experts", "routed"]?.integer else { return nil }
    var text = "\(routed)"
    if let awake = info["experts", "per_token"]?.integer { text += ", \(awake) awake" }
    if let shared = info["experts", "shared"]?.integer, shared > 0 { text += ", \(shared) shared" }
    return text
  }

  private static func weights(_ info: LibraryDocument) -> String? {
    guard let bytes = info["weights", "bytes"]?.integer else { return nil }
    var text = Units.bytes(bytes)
    if let types = info["weights", "types"]?.names { text += " of " + types.joined(separator: ", ") }
    if let read = info["weights", "bytes_per_token"]?.integer { text += "; \(Units.bytes(read)) read for each token" }
    return text
  }

  private static func text(_ info: LibraryDocument) -> String {
    let parts = [("tokenizer", "tokenizer"), ("chat_template", "chat template")]
    return parts.map { key, name in
      let value = info["text", key]
      let isThere = value?.bool ?? (value?.string != nil)
      return isThere ? name : "no \(name)"
    }.joined(separator: ", ") + (info["text", "chat_template_failure"]?.string.map { ": \($0)" } ?? "")
  }

  /// Beside what plain attention would need, in 16 bits, the width in which caches are usually compared, and in 32; int8
  /// rows stand beside the 16 bits of plain attention.
  private static func cache(_ info: LibraryDocument) -> String? {
    let lines = [("bf16", "bf16"), ("f32", "f32"), ("int8", "bf16")].compactMap { type, other -> String? in
      guard
        let bytes = info["cache", "bytes_per_token", type]?.integer, bytes > 0,
        let plain = info["cache", "plain_attention_bytes_per_token", other]?.integer
      else { return nil }
      let ratio = Units.decimal(Double(plain) / Double(bytes), digits: 1)
      return "\(Units.grouped(bytes)) bytes a token in \(type); "
        + "plain attention would need \(Units.grouped(plain))\(type == other ? "" : " in \(other)"), "
        + "\(ratio) times as much"
    }
    return lines.joined(separator: "\n")
  }
}

/// What other commands must know about an open model.
struct ModelFacts {
  var vocabularySize: Int
  /// Of the layers alone: what each token of a prompt meets.
  var activeParametersInLayers: UInt64?
  var weightBytesPerToken: UInt64?
  /// Of the cache's rows, by their type.
  var cacheBytesPerToken: JSONValue?
  /// The type of the cache's rows where nothing else is asked for.
  var cacheType: String?
  var instructionSet: String?
  var threads: Int?

  init(_ engine: OpenEngine) throws {
    let info = try engine.info()
    guard let size = info["vocabulary_size"]?.integer, let vocabularySize = Int(exactly: size), vocabularySize > 0
    else {
      throw CommandFailure(message: "the document about the model has no vocabulary_size")
    }
    self.vocabularySize = vocabularySize
    activeParametersInLayers = info["parameters", "active_in_layers"]?.integer
    weightBytesPerToken = info["weights", "bytes_per_token"]?.integer
    cacheBytesPerToken = info["cache", "bytes_per_token"]
    cacheType = info["cache", "default_type"]?.string
    instructionSet = info["instruction_set"]?.string
    threads = info["threads"]?.integer.flatMap { Int(exactly: $0) }
  }
}
