import DormouseSupport
import DormouseText

/// A model folder's tokenizer, prompt format and generation defaults. The first two may be missing.
struct TextResources: Sendable {
  let folder: String
  let tokenizer: Tokenizer?
  let promptFormat: (any PromptFormat)?
  let generation: GenerationDefaults

  /// - Parameter log: learns of chat templates that cannot be read, which fail only chats that need them, and of what was
  ///   missing and is guessed.
  init(folder: String, log: Log = .silent) throws(Failure) {
    self.folder = folder
    let hasTokenizer = ["tokenizer.json", "tiktoken.model"].contains { File.exists(folder + "/" + $0) }
    tokenizer = hasTokenizer ? try Tokenizer(folder: folder) : nil
    let chatTemplates = try ChatTemplates.load(folder: folder)
    promptFormat = chatTemplates
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

  /// The prompt that the model's own format makes of a chat.
  /// - Parameter mediaPlaceholders: what a template writes for each of its media; without them, that stays as it is.
  func render(
    _ request: ChatRequest, mediaPlaceholders: [String] = [], interruption: Interruption = .never
  ) throws(Failure) -> [PromptRun] {
    guard let promptFormat else {
      throw Failure(
        .notFound, "\(folder): the model has no chat template (chat_template.jinja, or in tokenizer_config.json)")
    }
    return try promptFormat.render(
      Chat(
        messages: request.messages.arrayValue ?? [], variables: request.variables, templateName: request.templateName,
        continuedField: request.continuedField, mediaPlaceholders: mediaPlaceholders), interruption: interruption)
  }
}

/// What bounds the making of a prompt.
struct PromptLimits: Sendable {
  /// Tokens that the session holds; nil where there is none.
  var contextLength: Int?
  /// Asked between short pieces of rendering and tokenizing.
  var interruption = Interruption.never
}
