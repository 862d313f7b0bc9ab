public import DormouseSupport

/// Where the processors' files of a folder lie.
public enum ProcessorFiles {
  /// The document `name` of a folder; nil where there is no such file.
  public static func document(_ name: String, folder: String) throws(Failure) -> JSONFields? {
    let path = "\(folder)/\(name)"
    guard File.exists(path) else { return nil }
    return try JSONFields(File.readJSON(path), file: path)
  }

  /// The object `key` of `processor_config.json`, where transformers 5 keeps all processors of a model.
  public static func nested(_ key: String, folder: String) throws(Failure) -> JSONFields? {
    try document("processor_config.json", folder: folder)?.fields(key)
  }
}
