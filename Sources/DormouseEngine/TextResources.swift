import DormouseSupport
import DormouseText

/// A model folder's tokenizer, chat templates and generation defaults. The first two may be missing.
struct TextResources: Sendable {
  let folder: String
  let tokenizer: Tokenizer?
  let chatTemplates: ChatTemplates?
  let generation: GenerationDefaults

  /// - Parameter log: learns of chat templates that cannot be read, which fail only chats that need them, and of what was
  ///   missing and is guessed.
  init(folder: String, log: Log = .silent) throws(Failure) {
    self.folder = folder
    let hasTokenizer = ["tokenizer.json", "tiktoken.model"].contains { File.exists(folder + "/" + $0) }
    tokenizer = hasTokenizer ? try Tokenizer(folder: folder) : nil
    chatTemplates = try ChatTemplates.load(folder: folder)
    generation = try GenerationDefaults.load(folder: folder, tokenizer: tokenizer, log: log)
    for failure in chatTemplates?.failures ?? [] {
      log(.warning, "\(failure.message); chats that need it are refused")
    }
  }

  /// Refuses a tokenizer whose ordinary tokens the model has no embeddings for: it belongs to another model. An added
  /// token beyond them is only told of, since it may be one that no prompt keeps.
  /// - Throws: `Failure(.malformed)` naming the tokenizer's file, the token and the size.
  func requireTokens(within vocabularySize: Int, log: Log) throws(Failure) {
    guard let tokenizer, tokenizer.vocabularySize > vocabularySize else { return }
    let file = folder + (File.exists(folder + "/tokenizer.json") ? "/tokenizer.json" : "/tiktoken.model")
    let last = max(tokenizer.ordinaryVocabularySize, 1) - 1
    guard last < vocabularySize else {
      let name = String(decoding: tokenizer.bytes(of: Int32(clamping: last)) ?? [], as: UTF8.self)
      throw Failure(
        .malformed,
        "\(file): token \(Excerpt.name(name)) has id \(last), but config.json's vocab_size is \(vocabularySize): the"
          + " tokenizer is not that of the model")
    }
    log(
      .information,
      "\(file): added tokens have ids up to \(tokenizer.vocabularySize - 1), but config.json's vocab_size is"
        + " \(vocabularySize): those beyond it cannot be evaluated")
  }

  func requireTokenizer() throws(Failure) -> Tokenizer {
    guard let tokenizer else {
      throw Failure(.notFound, "\(folder): the model has no tokenizer (tokenizer.json or tiktoken.model)")
    }
    return tokenizer
  }

  /// The prompt that the model's own template makes of a chat.
  func render(_ request: ChatRequest, interruption: Interruption = .never) throws(Failure) -> [PromptRun] {
    guard let chatTemplates else {
      throw Failure(
        .notFound, "\(folder): the model has no chat template (chat_template.jinja, or in tokenizer_config.json)")
    }
    return try chatTemplates.render(
      TemplateChat(
        messages: request.messages.arrayValue ?? [], variables: request.variables, templateName: request.templateName,
        continuedField: request.continuedField), interruption: interruption)
  }

  func tokenize(_ request: ChatRequest, _ limits: PromptLimits = PromptLimits()) throws(Failure) -> [Int32] {
    try requireTokenizer().encode(try render(request, interruption: limits.interruption), within: limits)
  }
}

/// What bounds the making of a prompt.
struct PromptLimits: Sendable {
  /// Tokens that the session holds; nil where there is none.
  var contextLength: Int?
  /// Asked between short pieces of rendering and tokenizing.
  var interruption = Interruption.never
}

extension Tokenizer {
  /// The ids of a rendered prompt.
  /// - Throws: `Failure(.contextFull)` for a text whose bytes alone say that it is too long for the session, before any
  ///   work is done on it.
  func encode(_ runs: [PromptRun], within limits: PromptLimits) throws(Failure) -> [Int32] {
    if let most = limits.contextLength, case let least = leastCount(of: runs), least > most {
      throw Failure(.contextFull, "the chat has at least \(least) tokens, more than the session's \(most)")
    }
    return try encode(runs, interruption: limits.interruption)
  }
}
