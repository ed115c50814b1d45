<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22.0" styleCategories="Symbology">
  <!-- The first band alone: the probability of a building, from nothing over yellow to red. -->
  <pipe>
    <rasterrenderer type="singlebandpseudocolor" band="1" opacity="0.5" alphaBand="-1" classificationMin="0" classificationMax="255" nodataColor="">
      <rasterTransparency/>
      <rastershader>
        <colorrampshader colorRampType="INTERPOLATED" classificationMode="1" clip="0" minimumValue="0" maximumValue="255">
          <item value="0" label="0" color="#ffffff" alpha="0"/>
          <item value="64" label="0.25" color="#ffffb2" alpha="90"/>
          <item value="128" label="0.5" color="#fd8d3c" alpha="220"/>
          <item value="255" label="1" color="#bd0026" alpha="255"/>
        </colorrampshader>
      </rastershader>
    </rasterrenderer>
    <brightnesscontrast brightness="0" contrast="0"/>
    <huesaturation saturation="0" colorizeOn="0"/>
    <rasterresampler maxOversampling="2"/>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
