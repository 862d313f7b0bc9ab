public import DormouseSupport

extension ChatTemplate {
  /// The chat template of a model's folder: `chat_template.jinja`, else `chat_template` in `tokenizer_config.json`,
  /// which is a string, or a list of `{name, template}` with one called `default` and perhaps one called `tool_use`.
  ///
  /// - Returns: nil when the folder has none.
  public static func load(folder: String) throws(Failure) -> ChatTemplate? {
    let path = folder + "/chat_template.jinja"
    if File.exists(path) {
      let bytes = try File(path: path).readAll(limit: TemplateLimits().sourceBytes)
      guard let source = String(validating: bytes, as: UTF8.self) else {
        throw Failure(.malformed, "\(path): the template is not UTF-8")
      }
      return try ChatTemplate(source: source, file: path)
    }
    let configuration = folder + "/tokenizer_config.json"
    guard File.exists(configuration) else { return nil }
    return try load(try File.readJSON(configuration)["chat_template"], file: configuration)
  }

  private static func load(_ value: JSON?, file: String) throws(Failure) -> ChatTemplate? {
    switch value {
    case nil, .null: return nil
    case .string(let source): return try ChatTemplate(source: source, file: "\(file): chat_template")
    case .array(let entries): return try load(entries: entries, file: "\(file): chat_template")
    case .some(let other):
      throw Failure(.malformed, "\(file): chat_template is \(other.typeName), expected a string or an array")
    }
  }

  private static func load(entries: [JSON], file: String) throws(Failure) -> ChatTemplate {
    var sources: [ExactString: String] = [:]
    for (index, entry) in entries.enumerated() {
      guard let name = entry["name"]?.stringValue, let source = entry["template"]?.stringValue else {
        throw Failure(.malformed, "\(file)[\(index)]: expected an object with the strings 'name' and 'template'")
      }
      sources[ExactString(name)] = source
    }
    guard let source = sources[ExactString("default")] else {
      throw Failure(.malformed, "\(file): none of its \(entries.count) templates is called 'default'")
    }
    return try ChatTemplate(source: source, file: file, toolSource: sources[ExactString("tool_use")])
  }
}
