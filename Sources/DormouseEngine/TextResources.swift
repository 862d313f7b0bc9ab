import DormouseSupport
import DormouseText

/// A model folder's tokenizer, chat template and generation defaults. The first two may be missing.
struct TextResources: Sendable {
  let folder: String
  let tokenizer: Tokenizer?
  let chatTemplate: ChatTemplate?
  let generation: GenerationDefaults

  init(folder: String) throws(Failure) {
    self.folder = folder
    let hasTokenizer = ["tokenizer.json", "tiktoken.model"].contains { File.exists(folder + "/" + $0) }
    tokenizer = hasTokenizer ? try Tokenizer(folder: folder) : nil
    chatTemplate = try ChatTemplate.load(folder: folder)
    generation = try GenerationDefaults.load(folder: folder)
  }

  func requireTokenizer() throws(Failure) -> Tokenizer {
    guard let tokenizer else {
      throw Failure(.notFound, "\(folder): the model has no tokenizer (tokenizer.json or tiktoken.model)")
    }
    return tokenizer
  }

  /// The prompt that the model's own template makes of a chat.
  func render(_ request: ChatRequest) throws(Failure) -> [PromptRun] {
    guard let chatTemplate else {
      throw Failure(
        .notFound, "\(folder): the model has no chat template (chat_template.jinja, or in tokenizer_config.json)")
    }
    var markup = JSONObject()
    markup["bos_token"] = .string(tokenizer?.beginningOfSequenceToken ?? "")
    markup["eos_token"] = .string(tokenizer?.endOfSequenceToken ?? "")
    return try chatTemplate.render(
      messages: request.messages, variables: request.variables, markupVariables: markup)
  }

  func tokenize(_ request: ChatRequest) throws(Failure) -> [Int32] {
    try requireTokenizer().encode(try render(request))
  }
}
