import DormouseSupport

/// DeepSeek-V3, R1, V3.1, Moonlight, GigaChat3, Kimi-K2: what a family is where it says nothing else.
struct DeepSeekV3: Family {}

/// GLM-4.7-Flash: DeepSeek-V3 with one dense layer, if not told otherwise.
struct GLM4MoELite: Family {
  func feedForward(_ fields: JSONFields, layerCount: Int) throws(Failure) -> [ModelConfiguration.FeedForward] {
    try FeedForwardSchedule(fields, layerCount: layerCount).layers(dense: 1)
  }
}
