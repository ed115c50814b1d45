<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22.0" styleCategories="Symbology|Symbology3D|Labeling" labelsEnabled="1">
  <!-- Blocks in a 3D view: from the terrain up to the height; flat where it is unknown. -->
  <renderer-3d type="vector" layer="">
    <vector-layer-3d-tiling zoom-levels-count="3" show-bounding-boxes="0"/>
    <symbol type="polygon" material_type="phong">
      <data alt-clamping="relative" alt-binding="centroid" height="0" extrusion-height="0" culling-mode="no-culling" invert-normals="0" add-back-faces="0" rendered-facade="3"/>
      <!-- Together below 255, or a roof in the light has no colour left. -->
      <material ambient="70,62,45,255" diffuse="170,150,105,255" specular="0,0,0,255" shininess="0"/>
      <data-defined-properties>
        <Option type="Map">
          <Option type="QString" name="name" value=""/>
          <Option type="Map" name="properties">
            <Option type="Map" name="extrusionHeight">
              <Option type="bool" name="active" value="true"/>
              <Option type="QString" name="expression" value="coalesce(attribute('height_m'), 0)"/>
              <Option type="int" name="type" value="3"/>
            </Option>
          </Option>
          <Option type="QString" name="type" value="collection"/>
        </Option>
      </data-defined-properties>
      <edges enabled="1" width="1" color="60,60,60,255"/>
    </symbol>
  </renderer-3d>
  <!-- Heights in metres beside the blocks, where there is room for them; unknown ones say nothing. -->
  <labeling type="simple">
    <settings calloutType="simple">
      <text-style fieldName="round(attribute('height_m')) || ' m'" isExpression="1" fontSize="8" fontSizeUnit="Point" fontWeight="50" textColor="20,20,20,255" textOpacity="1" multilineHeight="1" textOrientation="horizontal">
        <text-buffer bufferDraw="1" bufferColor="255,255,255,255" bufferOpacity="1" bufferSize="0.8" bufferSizeUnits="MM" bufferJoinStyle="128" bufferNoFill="1"/>
      </text-style>
      <placement placement="4" priority="5" polygonPlacementFlags="2" layerType="PolygonGeometry"/>
      <rendering drawLabels="1" scaleVisibility="1" scaleMin="0" scaleMax="5000" obstacle="1" obstacleFactor="1" fontMaxPixelSize="10000" maxNumLabels="2000"/>
    </settings>
  </labeling>
  <!-- A dark casing below, so that the bright line is seen on concrete as on forest. -->
  <renderer-v2 type="singleSymbol" symbollevels="0" enableorderby="0" forceraster="0">
    <symbols>
      <symbol type="fill" name="0" alpha="1" clip_to_extent="1" force_rhr="0">
        <layer class="SimpleLine" enabled="1" locked="0" pass="0">
          <Option type="Map">
            <Option type="QString" name="line_color" value="20,20,20,200"/>
            <Option type="QString" name="line_style" value="solid"/>
            <Option type="QString" name="line_width" value="0.9"/>
            <Option type="QString" name="line_width_unit" value="MM"/>
            <Option type="QString" name="joinstyle" value="miter"/>
            <Option type="QString" name="capstyle" value="square"/>
          </Option>
          <prop k="line_color" v="20,20,20,200"/>
          <prop k="line_style" v="solid"/>
          <prop k="line_width" v="0.9"/>
          <prop k="line_width_unit" v="MM"/>
          <prop k="joinstyle" v="miter"/>
          <prop k="capstyle" v="square"/>
        </layer>
        <layer class="SimpleLine" enabled="1" locked="0" pass="0">
          <Option type="Map">
            <Option type="QString" name="line_color" value="255,225,0,255"/>
            <Option type="QString" name="line_style" value="solid"/>
            <Option type="QString" name="line_width" value="0.4"/>
            <Option type="QString" name="line_width_unit" value="MM"/>
            <Option type="QString" name="joinstyle" value="miter"/>
            <Option type="QString" name="capstyle" value="square"/>
          </Option>
          <prop k="line_color" v="255,225,0,255"/>
          <prop k="line_style" v="solid"/>
          <prop k="line_width" v="0.4"/>
          <prop k="line_width_unit" v="MM"/>
          <prop k="joinstyle" v="miter"/>
          <prop k="capstyle" v="square"/>
        </layer>
      </symbol>
    </symbols>
    <rotation/>
    <sizescale/>
  </renderer-v2>
  <blendMode>0</blendMode>
  <featureBlendMode>0</featureBlendMode>
  <layerGeometryType>2</layerGeometryType>
</qgis>
