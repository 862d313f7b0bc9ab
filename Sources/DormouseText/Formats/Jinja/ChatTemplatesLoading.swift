public import DormouseSupport

extension ChatTemplates {
  /// Files of `additional_chat_templates` at most.
  private static let fileLimit = 64
  private static let folderName = "additional_chat_templates"
  private static let ending = ".jinja"

  /// The chat templates of a model's folder, as transformers finds them: `chat_template.jinja` is the default and
  /// `additional_chat_templates/NAME.jinja` has a name; where there are no such files, `chat_template` in
  /// `tokenizer_config.json` is a string, or a list of `{name, template}`.
  ///
  /// - Returns: nil when the folder has none.
  /// - Throws: when `tokenizer_config.json` is no document; what is wrong with a template waits for the chat that needs
  ///   it.
  public static func load(folder: String) throws(Failure) -> ChatTemplates? {
    let path = folder + "/tokenizer_config.json"
    let document = File.exists(path) ? try File.readJSON(path) : nil
    let tokens = try withContext(path) { () throws(Failure) in
      try document.map { (json) throws(Failure) in try tokenTexts(TokenizerConfiguration(json)) } ?? JSONObject()
    }
    let files = fileEntries(folder)
    if !files.isEmpty { return ChatTemplates(file: folder, entries: files, tokens: tokens) }
    guard let value = document?["chat_template"], !value.isNull else { return nil }
    let file = "\(path): chat_template"
    return ChatTemplates(file: file, entries: entries(value, file: file), tokens: tokens)
  }

  private static func tokenTexts(_ configuration: TokenizerConfiguration) -> JSONObject {
    var tokens = JSONObject()
    for (name, content) in configuration.templateTokens { tokens[name] = .string(content) }
    return tokens
  }

  // MARK: Files

  private static func fileEntries(_ folder: String) -> [(name: String, entry: Entry)] {
    var result: [(name: String, entry: Entry)] = []
    let path = "\(folder)/chat_template\(ending)"
    if File.exists(path) { result.append((defaultName, read(path))) }
    let more = "\(folder)/\(folderName)"
    guard File.isFolder(more) else { return result }
    do throws(Failure) {
      let names = try File.names(in: more, ending: ending, limit: fileLimit)
      for name in names { result.append((String(name.dropLast(ending.count)), read("\(more)/\(name)"))) }
    } catch {
      if result.isEmpty { result.append((defaultName, .failure(error))) }
      result.append((toolsName, .failure(error)))
    }
    return result
  }

  private static func read(_ path: String) -> Entry {
    do throws(Failure) {
      let bytes = try File(path: path).readAll(limit: TemplateLimits().sourceBytes)
      guard let source = String(validating: bytes, as: UTF8.self) else {
        throw Failure(.malformed, "\(path): the template is not UTF-8")
      }
      return .success(try ChatTemplate(source: source, file: path))
    } catch { return .failure(error) }
  }

  // MARK: tokenizer_config.json

  /// - Parameter value: of the member `chat_template`.
  private static func entries(_ value: JSON, file: String) -> [(name: String, entry: Entry)] {
    switch value {
    case .string(let source): return [(defaultName, parse(source, file: file))]
    case .array(let list):
      do throws(Failure) { return try entries(list, file: file) } catch { return [(defaultName, .failure(error))] }
    default:
      let failure = Failure(.malformed, "\(file) is \(value.typeName), expected a string or an array")
      return [(defaultName, .failure(failure))]
    }
  }

  private static func entries(_ list: [JSON], file: String) throws(Failure) -> [(name: String, entry: Entry)] {
    var result: [(name: String, entry: Entry)] = []
    for (index, entry) in list.enumerated() {
      guard let name = entry["name"]?.stringValue, let source = entry["template"]?.stringValue else {
        throw Failure(.malformed, "\(file)[\(index)]: expected an object with the strings 'name' and 'template'")
      }
      let place = name == defaultName ? file : "\(file) (\(Excerpt.text(name)))"
      result.append((name, parse(source, file: place)))
    }
    return result
  }

  private static func parse(_ source: String, file: String) -> Entry {
    do throws(Failure) { return .success(try ChatTemplate(source: source, file: file)) } catch {
      return .failure(error)
    }
  }
}
